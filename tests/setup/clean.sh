#!/usr/bin/env bash
# Removes the data of `make up`. What was installed (.argosy/venv, .argosy/mail, …) and built (target/) stays.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"
rm -rf .argosy/{postgres,nats,redis,logs,env,pid} .argosy/mail/{mails,mail.log} target/stack
# Where PostgreSQL could not reach the repository (it does not run as root), its data is elsewhere; the log says so.
if [ -f .argosy/postgres.place ]; then rm -rf "$(cat .argosy/postgres.place)" .argosy/postgres.place; fi
