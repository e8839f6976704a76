#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Make the images that the demo and the tests use, from Debian packages: no registry is needed.
#
#   images.sh OUT-DIR [busybox|nginx|redis|torture|web|postgres|gunicorn]...
#                                (root; default: all but the last two)
#
# Each becomes one OCI archive, OUT-DIR/NAME.tar, that holds the image demo/NAME:1. What is already
# there is left alone. Packages that are not installed (nginx, redis) are downloaded to OUT-DIR/debs
# and unpacked aside; nothing is installed.
set -euo pipefail

if [ $# -lt 1 ]; then
    sed -n '3,11s/^# \{0,1\}//p' "$0"
    exit 2
fi
mkdir -p "$1"
out=$(realpath "$1")
shift
[ $# -gt 0 ] || set -- busybox nginx redis torture web
[ "$(id -u)" = 0 ] || { echo "images.sh: must run as root: layers hold files of several owners" >&2; exit 1; }
work=$(mktemp -d "$out/.work.XXXXXX")
trap 'rm -rf "$work"' EXIT
exec 9>"$out/.lock"
flock 9

path_env="PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# tar_layer FOLDER TAR [TAR-OPTION...]: the same bytes for the same files (but for holes: tar writes its
# process number beside them).
tar_layer() {
    local from=$1 to=$2
    shift 2
    tar --sort=name --mtime=@1577836800 --numeric-owner --format=posix "$@" \
        --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime \
        --xattrs --xattrs-include='*' -C "$from" -cf "$to" .
}

# put_blob LAYOUT FILE: file it under its digest; prints "HEX SIZE".
put_blob() {
    local hex
    hex=$(sha256sum "$2" | cut -d' ' -f1)
    mkdir -p "$1/blobs/sha256"
    mv "$2" "$1/blobs/sha256/$hex"
    echo "$hex $(stat -c %s "$1/blobs/sha256/$hex")"
}

# descriptor MEDIA-TYPE HEX SIZE
descriptor() {
    jq -cn --arg m "$1" --arg d "sha256:$2" --argjson s "$3" '{mediaType:$m,digest:$d,size:$s}'
}

# pack NAME CONFIG-JSON LAYER-TAR...: write OUT/NAME.tar. A layer TAR:zstd or TAR:none is packed so.
pack() {
    local name=$1 config=$2 layout=$work/$1.oci layers='[]' diffs='[]' layer tar how hex size type
    local oci=application/vnd.oci.image arch
    shift 2
    mkdir -p "$layout"
    for layer; do
        tar=${layer%%:*} how=${layer#"$tar"}
        diffs=$(jq -c --arg d "sha256:$(sha256sum "$tar" | cut -d' ' -f1)" '.+[$d]' <<<"$diffs")
        type=$oci.layer.v1.tar
        case ${how#:} in
        '') gzip -n -6 -c "$tar" && type+=+gzip ;;
        zstd) zstd -q -3 -c "$tar" && type+=+zstd ;;
        none) cat "$tar" ;;
        esac >"$work/blob"
        read -r hex size < <(put_blob "$layout" "$work/blob")
        layers=$(jq -c --argjson l "$(descriptor "$type" "$hex" "$size")" '.+[$l]' <<<"$layers")
    done
    arch=$(dpkg --print-architecture)
    jq -cn --argjson c "$config" --argjson d "$diffs" --arg a "$arch" \
        '{created:"2020-01-01T00:00:00Z",architecture:$a,os:"linux",config:$c,
          rootfs:{type:"layers",diff_ids:$d}}' >"$work/blob"
    read -r hex size < <(put_blob "$layout" "$work/blob")
    jq -cn --argjson c "$(descriptor $oci.config.v1+json "$hex" "$size")" --argjson l "$layers" \
        --arg m $oci.manifest.v1+json \
        '{schemaVersion:2,mediaType:$m,config:$c,layers:$l}' >"$work/blob"
    read -r hex size < <(put_blob "$layout" "$work/blob")
    jq -cn --argjson m "$(descriptor $oci.manifest.v1+json "$hex" "$size")" --arg n "$name" \
        --arg a "$arch" \
        '{schemaVersion:2,manifests:[$m + {platform:{os:"linux",architecture:$a},annotations:{
          "io.containerd.image.name":"docker.io/demo/\($n):1",
          "org.opencontainers.image.ref.name":"demo/\($n):1"}}]}' >"$layout/index.json"
    echo '{"imageLayoutVersion":"1.0.0"}' >"$layout/oci-layout"
    tar --sort=name --mtime=@1577836800 --numeric-owner --owner=0 --group=0 -C "$layout" \
        -cf "$work/$name.tar" oci-layout index.json blobs
    rm -rf "$layout"
    mv "$work/$name.tar" "$out/$name.tar"
    echo "$out/$name.tar: demo/$name:1 sha256:$hex"
}

# The layer that all images stand on: busybox as every tool it can be, and users.
busybox_layer() {
    local root=$work/busybox-root applet
    [ ! -e "$work/busybox.layer" ] || return 0
    mkdir -p "$root"/{bin,etc,tmp,root,proc,sys,dev,run,usr/bin,usr/sbin,var/tmp}
    chmod 1777 "$root/tmp" "$root/var/tmp"
    cp "$(command -v busybox)" "$root/bin/busybox"
    for applet in $(busybox --list); do
        [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
    done
    printf '%s\n' 'root:x:0:0:root:/root:/bin/sh' 'www-data:x:33:33::/:/bin/false' \
        'nobody:x:65534:65534::/:/bin/false' >"$root/etc/passwd"
    printf '%s\n' 'root:x:0:' 'www-data:x:33:' 'nogroup:x:65534:' >"$root/etc/group"
    tar_layer "$root" "$work/busybox.layer" --owner=0 --group=0
}

# Download PACKAGE... with what they depend on and this machine lacks; unpack to $work/debs.
debs() {
    local get=(apt-get -qq -o "Dir::Cache::Archives=$out/debs" -o Debug::NoLocking=1
        -o APT::Sandbox::User=root --no-install-recommends -d -y --reinstall install "$@") deb
    mkdir -p "$out/debs/partial" "$work/debs"
    if ! "${get[@]}" >/dev/null 2>&1; then
        apt-get -qq update >/dev/null
        "${get[@]}" >/dev/null
    fi
    for deb in "$out"/debs/*.deb; do
        dpkg-deb -x "$deb" "$work/debs"
    done
}

# closure ROOT FILE...: copy files of $work/debs (names relative to it), and the shared libraries
# that programs among them need, from there or from this machine.
closure() {
    local root=$1 file lib multiarch
    multiarch=$(dpkg-architecture -qDEB_HOST_MULTIARCH)
    shift
    mkdir -p "$root"
    for file; do
        (cd "$work/debs" && cp -a --parents "./$file" "$root/")
        # busybox's own layer has real folders bin and lib: no merged /usr in there.
        LD_LIBRARY_PATH=$work/debs/usr/lib/$multiarch:$work/debs/lib/$multiarch \
            ldd "$work/debs/$file" 2>/dev/null | awk '$2 == "=>" && $3 ~ /^\// {print $3}
                $1 ~ /^\// {print $1}' >>"$work/libs" || true
    done
    sort -u "$work/libs" | while read -r lib; do
        mkdir -p "$root/$(dirname "${lib#"$work/debs"}")"
        cp -L "$lib" "$root/${lib#"$work/debs"}"
    done
    rm "$work/libs"
}

make_busybox() {
    busybox_layer
    pack busybox "{\"Cmd\":[\"sh\"],\"Env\":[\"$path_env\"]}" "$work/busybox.layer"
}

make_nginx() {
    local root=$work/nginx-root
    busybox_layer
    debs nginx
    closure "$root" usr/sbin/nginx
    mkdir -p "$root"/{etc/nginx,var/log/nginx,var/lib/nginx,run,tmp,usr/share/nginx/html}
    chmod 1777 "$root/tmp"
    cp "$work/debs/etc/nginx/mime.types" "$root/etc/nginx/"
    echo '<h1>It works.</h1>' >"$root/usr/share/nginx/html/index.html"
    cat >"$root/etc/nginx/nginx.conf" <<'CONF'
daemon off;
worker_processes 1;
error_log /dev/stderr;
pid /run/nginx.pid;
events {}
http {
    include mime.types;
    access_log off;
    server {
        listen 80;
        root /usr/share/nginx/html;
        location = /host { default_type text/plain; return 200 "$hostname\n"; }
        location = /client { default_type text/plain; return 200 "$remote_addr\n"; }
    }
}
CONF
    tar_layer "$root" "$work/nginx.layer" --owner=0 --group=0
    pack nginx "{\"Entrypoint\":[\"/usr/sbin/nginx\"],\"ExposedPorts\":{\"80/tcp\":{}},
        \"Env\":[\"$path_env\"],\"StopSignal\":\"SIGQUIT\"}" "$work/busybox.layer" "$work/nginx.layer"
}

make_redis() {
    local root=$work/redis-root
    busybox_layer
    debs redis-server redis-tools
    # redis-server is a link to redis-check-rdb.
    closure "$root" usr/bin/redis-server usr/bin/redis-check-rdb usr/bin/redis-cli
    mkdir -p "$root/data"
    tar_layer "$root" "$work/redis.layer" --owner=0 --group=0
    pack redis "{\"Entrypoint\":[\"redis-server\",\"--bind\",\"0.0.0.0\",\"--protected-mode\",\"no\",
        \"--dir\",\"/data\"],\"ExposedPorts\":{\"6379/tcp\":{}},\"Volumes\":{\"/data\":{}},
        \"WorkingDir\":\"/data\",\"Env\":[\"$path_env\"]}" "$work/busybox.layer" "$work/redis.layer"
}

# Everything a layer may hold: links of all kinds, owners, setuid, capabilities, xattrs, devices, a
# hole, long and non-ASCII names; then a second layer with whiteouts and an opaque folder.
make_torture() {
    local a=$work/torture-a b=$work/torture-b
    busybox_layer
    mkdir -p "$a"/{opq,d1/d2,keep,to-file,usr/bin}
    echo old >"$a/opq/old"
    echo gone >"$a/d1/d2/gone"
    echo kept >"$a/d1/d2/kept"
    echo linked >"$a/keep/file"
    ln "$a/keep/file" "$a/keep/hardlink"
    ln "$a/keep/file" "$a/hardlink2"
    ln -s /etc/passwd "$a/keep/absolute"
    ln -s ../keep/file "$a/keep/relative"
    ln -s loop "$a/keep/loop"
    cp "$(command -v busybox)" "$a/usr/bin/suid"
    chmod 4755 "$a/usr/bin/suid"
    cp "$(command -v busybox)" "$a/usr/bin/capable"
    setcap cap_net_raw+ep "$a/usr/bin/capable"
    echo x >"$a/keep/xattr"
    setfattr -n user.key -v value "$a/keep/xattr"
    chown 1000:2000 "$a/keep/xattr"
    mkfifo "$a/keep/fifo"
    mknod "$a/keep/null" c 1 3
    mkdir -m 2775 "$a/keep/setgid"
    mkdir -m 1777 "$a/keep/sticky"
    truncate -s 8M "$a/keep/hole"
    echo end >>"$a/keep/hole"
    echo long >"$a/keep/$(printf '%0200d' 0)"
    echo unicode >"$a/keep/ünïcødé-☃"
    echo child >"$a/to-file/child"
    echo file >"$a/to-folder"
    tar_layer "$a" "$work/torture-a.layer" --sparse
    mkdir -p "$b"/{opq,d1/d2,keep,to-folder}
    : >"$b/opq/.wh..wh..opq"
    echo new >"$b/opq/new"
    : >"$b/d1/d2/.wh.gone"
    : >"$b/keep/.wh.hardlink"
    echo now-a-file >"$b/to-file"
    echo child >"$b/to-folder/child"
    tar_layer "$b" "$work/torture-b.layer"
    pack torture "{\"Cmd\":[\"sh\"],\"User\":\"1000:2000\",\"Env\":[\"$path_env\"]}" \
        "$work/busybox.layer" "$work/torture-a.layer:zstd" "$work/torture-b.layer:none"
}

# The web service of the demo: a page by whichever replica, counted in a redis named $STORE.
make_web() {
    local root=$work/web-root
    busybox_layer
    mkdir -p "$root/www/cgi-bin"
    echo ok >"$root/www/health"
    cat >"$root/www/cgi-bin/index.cgi" <<'CGI'
#!/bin/sh
printf 'Content-Type: text/plain\r\n\r\n'
answer=$(printf 'GET greeting\r\nINCR visits\r\nQUIT\r\n' | nc -w 2 "$STORE" 6379 | tr -d '\r')
greeting=$(echo "$answer" | sed -n "2{/^:/!p}")
visits=$(echo "$answer" | sed -n 's/^://p')
echo "${greeting:-hello} from $(hostname), visit number ${visits:-unknown: no answer from $STORE}"
CGI
    chmod 755 "$root/www/cgi-bin/index.cgi"
    tar_layer "$root" "$work/web.layer" --owner=0 --group=0
    pack web "{\"Cmd\":[\"httpd\",\"-f\",\"-v\",\"-p\",\"80\",\"-h\",\"/www\"],
        \"ExposedPorts\":{\"80/tcp\":{}},\"Env\":[\"$path_env\"]}" \
        "$work/busybox.layer" "$work/web.layer"
}

# PostgreSQL, which makes its database at the first start, as its own user.
make_postgres() {
    local root=$work/postgres-root lib=usr/lib/postgresql/15 file
    busybox_layer
    debs postgresql-15 postgresql-client-15
    closure "$root" $lib/bin/{postgres,initdb,pg_isready,psql} \
        $(cd "$work/debs" && ls $lib/lib/*.so | grep -v llvmjit)
    mkdir -p "$root/usr/share/postgresql" "$root/usr/local/bin" "$root/etc" "$root/var/lib/postgresql/data"
    cp -a "$work/debs/usr/share/postgresql/15" "$root/usr/share/postgresql/"
    printf '%s\n' 'root:x:0:0:root:/root:/bin/sh' 'postgres:x:999:999::/var/lib/postgresql:/bin/sh' >"$root/etc/passwd"
    printf '%s\n' 'root:x:0:' 'postgres:x:999:' >"$root/etc/group"
    cat >"$root/usr/local/bin/start" <<'START'
#!/bin/sh
set -e
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    initdb -D "$PGDATA" -U postgres --locale=C -E UTF8 --auth-local=trust --auth-host=scram-sha-256 \
        --pwfile="$POSTGRES_PASSWORD_FILE"
    echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
fi
exec postgres -D "$PGDATA" -h 0.0.0.0 -k /tmp "$@"
START
    chmod 755 "$root/usr/local/bin/start"
    chown -R 0:0 "$root"
    chown -R 999:999 "$root/var/lib/postgresql"
    chmod 700 "$root/var/lib/postgresql/data"
    tar_layer "$root" "$work/postgres.layer"
    pack postgres "{\"Entrypoint\":[\"start\"],\"User\":\"postgres\",\"StopSignal\":\"SIGINT\",
        \"Volumes\":{\"/var/lib/postgresql/data\":{}},\"ExposedPorts\":{\"5432/tcp\":{}},
        \"Env\":[\"PATH=/$lib/bin:/usr/local/bin:/usr/bin:/bin\",\"PGDATA=/var/lib/postgresql/data\"]}" \
        "$work/busybox.layer" "$work/postgres.layer"
}

# A web application in Python: a visit more in a PostgreSQL named db, at each request.
make_gunicorn() {
    local root=$work/gunicorn-root python=usr/lib/python3.11
    busybox_layer
    debs python3.11-minimal libpython3.11-minimal libpython3.11-stdlib python3-gunicorn \
        python3-pkg-resources python3-psycopg2
    closure "$root" usr/bin/python3.11 \
        $(cd "$work/debs" && ls $python/lib-dynload/*.so usr/lib/python3/dist-packages/psycopg2/*x86_64*.so \
            usr/lib/python3/dist-packages/psycopg2/*aarch64*.so 2>/dev/null | grep -v tkinter)
    mkdir -p "$root/usr/lib/python3" "$root/app"
    cp -a "$work/debs/$python" "$root/usr/lib/"
    cp -a "$work/debs/usr/lib/python3/dist-packages" "$root/usr/lib/python3/"
    cat >"$root/app/app.py" <<'APP'
import os, socket
import psycopg2

def connect():
    with open("/run/secrets/db-password") as f:
        password = f.read().strip()
    return psycopg2.connect(host="db", user="postgres", dbname="postgres", password=password, connect_timeout=3)

def app(environ, start_response):
    if environ["PATH_INFO"] == "/health-check":
        text = "ok"
    else:
        with connect() as db, db.cursor() as c:
            c.execute("CREATE TABLE IF NOT EXISTS visit(at timestamptz DEFAULT now(), by text)")
            c.execute("INSERT INTO visit(by) VALUES(%s)", (environ.get("HTTP_X_REAL_IP", "?"),))
            c.execute("SELECT count(*), max(by) FROM visit")
            text = "visit %d, client %s, by %s" % (*c.fetchone(), socket.gethostname())
        db.close()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [(text + "\n").encode()]
APP
    tar_layer "$root" "$work/gunicorn.layer" --owner=0 --group=0
    pack gunicorn "{\"Entrypoint\":[\"python3.11\",\"-m\",\"gunicorn\"],\"Cmd\":[\"-w\",\"2\",\"-b\",\"0.0.0.0:8000\",\"app:app\"],
        \"WorkingDir\":\"/app\",\"User\":\"www-data\",\"ExposedPorts\":{\"8000/tcp\":{}},
        \"Env\":[\"$path_env\",\"PYTHONDONTWRITEBYTECODE=1\"]}" \
        "$work/busybox.layer" "$work/gunicorn.layer"
}

for image; do
    case $image in
    busybox | nginx | redis | torture | web | postgres | gunicorn) ;;
    *)
        echo "images.sh: no image '$image'; there are busybox, nginx, redis, torture, web, postgres and gunicorn" >&2
        exit 2
        ;;
    esac
    [ -e "$out/$image.tar" ] || "make_$image"
done
