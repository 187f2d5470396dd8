#!/bin/sh
# /usr/local/bin/scim-ledger: a command with the service's settings, as the service's user
set -a
. /etc/scim-ledger/environment
set +a
exec runuser --user scim-ledger -- /opt/scim-ledger/bin/scim-ledger "$@"
