#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# network.sh where machines share a link and plain routes are taken.
PATHS=plain exec "$(dirname "$0")/network.sh" "$@"
