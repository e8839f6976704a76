/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/fetch/entry.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/fetch/stream.h"
#include "runtime/fetch/tree.h"

#include <archive.h>
#include <archive_entry.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/posix_acl_xattr.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

enum {
    XATTR_SIZE_MAX = 65536, /* the kernel's */
    XATTRS_MAX = 256,
    ACL_MAX = 1024,
};

#define ACL_ACCESS  "system.posix_acl_access"
#define ACL_DEFAULT "system.posix_acl_default"

struct timespec entry_time(struct archive_entry *entry)
{
    return (struct timespec){.tv_sec = archive_entry_mtime(entry),
                             .tv_nsec = archive_entry_mtime_nsec(entry)};
}

/* Owners that fit a uid_t; -1 would mean "leave it". */
static int get_owner(struct archive_entry *entry, const char *path, uid_t *uid, gid_t *gid,
                     struct err *err)
{
    int64_t u = archive_entry_uid(entry);
    int64_t g = archive_entry_gid(entry);
    if (u < 0 || u >= UINT32_MAX || g < 0 || g >= UINT32_MAX)
        return err_set(err, ERR_CORRUPT, "'%.100s' belongs to user %lld and group %lld", path,
                       (long long)u, (long long)g);
    *uid = (uid_t)u;
    *gid = (gid_t)g;
    return 0;
}

/* Programs' own attributes, file capabilities and POSIX ACLs. The rest speaks to the kernel of the
 * machine: trusted.overlay.* would steer the overlay, security.selinux its policy. */
static bool xattr_wanted(const char *name)
{
    if (str_starts(name, "user."))
        return !str_starts(name, "user.overlay.");
    return strcmp(name, "security.capability") == 0 || strcmp(name, ACL_ACCESS) == 0;
}

/* A file system without ACLs does without. */
static int set_xattr(int fd, const char *name, const void *value, size_t size, const char *path,
                     struct err *err)
{
    if (fsetxattr(fd, name, value, size, 0) == 0 ||
        (errno == EOPNOTSUPP && str_starts(name, "system.")))
        return 0;
    return err_errno(err, errno, "set xattr %.60s of '%.100s'", name, path);
}

static uint16_t acl_tag(int tag)
{
    switch (tag) {
    case ARCHIVE_ENTRY_ACL_USER:
        return 0x02;
    case ARCHIVE_ENTRY_ACL_GROUP_OBJ:
        return 0x04;
    case ARCHIVE_ENTRY_ACL_GROUP:
        return 0x08;
    case ARCHIVE_ENTRY_ACL_MASK:
        return 0x10;
    case ARCHIVE_ENTRY_ACL_OTHER:
        return 0x20;
    default: /* libarchive's numbers are no enum */
        return 0x01;
    }
}

static int compare_acl(const void *a, const void *b)
{
    const struct posix_acl_xattr_entry *x = a;
    const struct posix_acl_xattr_entry *y = b;
    if (x->e_tag != y->e_tag)
        return le16toh(x->e_tag) < le16toh(y->e_tag) ? -1 : 1;
    return le32toh(x->e_id) < le32toh(y->e_id) ? -1 : le32toh(x->e_id) > le32toh(y->e_id);
}

/* SCHILY.acl.access and .default of PAX, in the kernel's form (linux/posix_acl_xattr.h: in the
 * order of tags, then ids). Names of users that have no number there stand for nobody here. */
static int set_acl(struct archive_entry *entry, int fd, int type, const char *name,
                   const char *path, struct err *err)
{
    struct {
        struct posix_acl_xattr_header header;
        struct posix_acl_xattr_entry entries[ACL_MAX];
    } acl = {.header.a_version = htole32(POSIX_ACL_XATTR_VERSION)};
    size_t n = 0;
    int kind, permset, tag, id;
    const char *who;
    if (archive_entry_acl_reset(entry, type) == 0)
        return 0;
    while (archive_entry_acl_next(entry, type, &kind, &permset, &tag, &id, &who) == ARCHIVE_OK) {
        if (n == ACL_MAX)
            return err_set(err, ERR_TOOBIG, "'%.100s' has an ACL of more than %d entries", path,
                           ACL_MAX);
        bool numbered = tag == ARCHIVE_ENTRY_ACL_USER || tag == ARCHIVE_ENTRY_ACL_GROUP;
        if (numbered && id < 0)
            continue;
        acl.entries[n++] =
            (struct posix_acl_xattr_entry){.e_tag = htole16(acl_tag(tag)),
                                           .e_perm = htole16((uint16_t)(permset & 7)),
                                           .e_id = htole32(numbered ? (uint32_t)id : UINT32_MAX)};
    }
    qsort(acl.entries, n, sizeof(acl.entries[0]), compare_acl);
    return set_xattr(fd, name, &acl, sizeof(acl.header) + n * sizeof(acl.entries[0]), path, err);
}

int entry_set_default_acl(struct archive_entry *entry, int fd, const char *path, struct err *err)
{
    return set_acl(entry, fd, ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, ACL_DEFAULT, path, err);
}

static int set_xattrs(struct archive_entry *entry, int fd, const char *path, struct err *err)
{
    const char *name;
    const void *value;
    size_t size;
    int n = 0;
    archive_entry_xattr_reset(entry);
    while (archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
        if (!name || !xattr_wanted(name))
            continue;
        if (size > XATTR_SIZE_MAX || strlen(name) > TREE_NAME_MAX || ++n > XATTRS_MAX)
            return err_set(err, ERR_TOOBIG, "'%.100s' has too many or too large xattrs", path);
        int rv = set_xattr(fd, name, value, size, path, err);
        if (rv < 0)
            return rv;
    }
    return set_acl(entry, fd, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, ACL_ACCESS, path, err);
}

static mode_t mode_of(struct archive_entry *entry)
{
    return archive_entry_perm(entry) & 07777;
}

/* Owner first: changing it clears setuid; then the mode; then xattrs: capabilities go with owners
 * and writes. */
static int set_attributes(struct archive_entry *entry, int fd, const char *path, struct err *err)
{
    uid_t uid;
    gid_t gid;
    int rv = get_owner(entry, path, &uid, &gid, err);
    if (rv < 0)
        return rv;
    if (fchown(fd, uid, gid) < 0)
        return err_errno(err, errno, "set the owner of '%.100s'", path);
    if (fchmod(fd, mode_of(entry)) < 0)
        return err_errno(err, errno, "set the mode of '%.100s'", path);
    return set_xattrs(entry, fd, path, err);
}

int entry_set_folder(struct archive_entry *entry, int parent_fd, const char *base, const char *path,
                     struct err *err)
{
    cleanup_close int fd = openat(parent_fd, base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "open folder '%.100s'", path);
    return set_attributes(entry, fd, path, err);
}

static int write_block(int fd, const char *data, size_t size, int64_t offset)
{
    while (size > 0) {
        ssize_t n = pwrite(fd, data, size, offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        data += n;
        offset += n;
        size -= (size_t)n;
    }
    return 0;
}

/* Blocks come with their offsets, so holes stay holes. */
static int write_content(struct archive *archive, int fd, int64_t size, const char *path,
                         struct err *err)
{
    const void *data;
    size_t n;
    int64_t offset;
    int rv;
    while ((rv = archive_read_data_block(archive, &data, &n, &offset)) == ARCHIVE_OK) {
        if (offset < 0 || offset > size || (int64_t)n > size - offset)
            return err_set(err, ERR_CORRUPT, "'%.100s' has more content than its size says", path);
        int failed = write_block(fd, data, n, offset);
        if (failed < 0)
            return err_errno(err, -failed, "write '%.100s'", path);
    }
    if (rv != ARCHIVE_EOF)
        return archive_err(archive, "read the layer", err);
    if (ftruncate(fd, size) < 0)
        return err_errno(err, errno, "write '%.100s'", path);
    return 0;
}

static int make_file(struct archive *archive, struct archive_entry *entry, int parent_fd,
                     const char *base, const char *path, int64_t *left, struct err *err)
{
    int64_t size = archive_entry_size(entry);
    if (size < 0 || size > *left)
        return err_set(err, ERR_TOOBIG,
                       "the layer unpacks to more than is free or allowed, at '%.100s'", path);
    *left -= size;
    cleanup_close int fd =
        openat(parent_fd, base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(err, errno, "create '%.100s'", path);
    int rv = write_content(archive, fd, size, path, err);
    if (rv == 0)
        rv = set_attributes(entry, fd, path, err);
    struct timespec times[2] = {entry_time(entry), entry_time(entry)};
    if (rv == 0 && futimens(fd, times) < 0)
        return err_errno(err, errno, "set the time of '%.100s'", path);
    return rv;
}

/* A link to a file of this layer. The name it links to is confined like any other. */
static int make_hard_link(const struct tree *tree, const char *target, int parent_fd,
                          const char *base, const char *path, struct err *err)
{
    char clean[TREE_PATH_MAX];
    cleanup_close int target_fd = -1;
    const char *target_base;
    int rv = tree_clean(target, clean, err);
    if (rv < 0)
        return rv;
    if (strcmp(clean, ".") == 0)
        return err_set(err, ERR_CORRUPT, "'%.100s' is a hard link to a folder", path);
    char *slash = strrchr(clean, '/');
    if (slash)
        *slash = '\0';
    rv = tree_open_folder(tree, slash ? clean : ".", &target_fd, err);
    target_base = slash ? slash + 1 : clean;
    if (rv < 0)
        return err_wrap(err, "hard link '%.60s'", path);
    if (tree_is_whiteout(target_fd, target_base))
        return err_set(err, ERR_CORRUPT,
                       "'%.100s' is a hard link to '%.60s', which the layer deletes", path, target);
    if (linkat(target_fd, target_base, parent_fd, base, 0) == 0)
        return 0;
    if (errno == ENOENT)
        return err_set(err, ERR_CORRUPT,
                       "'%.80s' is a hard link to '%.80s', which this layer lacks", path, target);
    return err_errno(err, errno, "link '%.80s' to '%.80s'", path, target);
}

/* Owner, mode and time of what was just made and is not opened: links, devices, pipes. */
static int finish_node(struct archive_entry *entry, int parent_fd, const char *base,
                       const char *path, bool link, struct err *err)
{
    uid_t uid;
    gid_t gid;
    int rv = get_owner(entry, path, &uid, &gid, err);
    if (rv < 0)
        return rv;
    struct timespec times[2] = {entry_time(entry), entry_time(entry)};
    if (fchownat(parent_fd, base, uid, gid, AT_SYMLINK_NOFOLLOW) < 0 ||
        (!link && fchmodat(parent_fd, base, mode_of(entry), 0) < 0) ||
        utimensat(parent_fd, base, times, AT_SYMLINK_NOFOLLOW) < 0)
        return err_errno(err, errno, "set owner, mode and time of '%.100s'", path);
    return 0;
}

static int make_symlink(struct archive_entry *entry, int parent_fd, const char *base,
                        const char *path, struct err *err)
{
    const char *target = archive_entry_symlink(entry);
    if (!target || !target[0])
        return err_set(err, ERR_CORRUPT, "'%.100s' is a symbolic link to nothing", path);
    if (symlinkat(target, parent_fd, base) < 0)
        return err_errno(err, errno, "make symbolic link '%.100s'", path);
    return finish_node(entry, parent_fd, base, path, true, err);
}

static int make_node(struct archive_entry *entry, int parent_fd, const char *base, const char *path,
                     struct err *err)
{
    mode_t type = archive_entry_filetype(entry);
    dev_t device = 0;
    if (type != AE_IFIFO)
        device = makedev((unsigned)archive_entry_rdevmajor(entry),
                         (unsigned)archive_entry_rdevminor(entry));
    if (type != AE_IFIFO && type != AE_IFCHR && type != AE_IFBLK)
        return err_set(err, ERR_CORRUPT, "'%.100s' is of no kind that a layer may hold", path);
    if (mknodat(parent_fd, base, type | 0600, device) < 0)
        return err_errno(err, errno, "make device or pipe '%.100s'", path);
    return finish_node(entry, parent_fd, base, path, false, err);
}

int entry_make(const struct tree *tree, struct archive *archive, struct archive_entry *entry,
               int parent_fd, const char *base, const char *path, int64_t *left, struct err *err)
{
    const char *target = archive_entry_hardlink(entry);
    if (target)
        return make_hard_link(tree, target, parent_fd, base, path, err);
    mode_t type = archive_entry_filetype(entry);
    if (type == AE_IFREG)
        return make_file(archive, entry, parent_fd, base, path, left, err);
    if (type == AE_IFLNK)
        return make_symlink(entry, parent_fd, base, path, err);
    if (type != AE_IFDIR)
        return make_node(entry, parent_fd, base, path, err);
    if (mkdirat(parent_fd, base, 0700) < 0)
        return err_errno(err, errno, "make folder '%.100s'", path);
    return entry_set_folder(entry, parent_fd, base, path, err);
}
