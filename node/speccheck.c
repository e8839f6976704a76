/* SPDX-License-Identifier: Apache-2.0 */
#include "node/speccheck.h"

#include "base/err.h"
#include "base/mem.h"
#include "cluster/api.h"
#include "runtime/seccomp.h"
#include "store/options.h"

#include <string.h>

static int check_profile(const char *text, struct err *err)
{
    struct seccomp_profile *profile = NULL;
    if (*text != '{')
        return 0;
    if (seccomp_profile_parse(text, strlen(text), &profile, err) < 0)
        return err_wrap(err, "security_opt.seccomp");
    seccomp_profile_free(profile);
    return 0;
}

int speccheck(const struct deploy_request *request, struct err *err)
{
    for (size_t i = 0; i < request->services_n; i++) {
        const struct deploy_spec *service = &request->services[i];
        int rv = options_validate(&service->spec, err);
        if (rv == 0)
            rv = check_profile(str_or_empty(service->spec.options.seccomp), err);
        if (rv < 0)
            return err_wrap(err, "service %.63s.%.63s", str_or_empty(request->name),
                            str_or_empty(service->name));
    }
    return 0;
}
