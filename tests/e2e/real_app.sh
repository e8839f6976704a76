#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A real application: nginx before gunicorn before PostgreSQL, as in Docker's sample nginx-flask-mysql,
# with its secret, volume, networks, health checks and dependencies; redis beside it. It goes on through
# an update, a lost member and the death of all machines at once, and nothing that was answered is lost.
. "$(dirname "$0")/lib.sh"
begin real 3
"$top/deploy/demo/images.sh" "$images" postgres gunicorn >/dev/null || exit 1
load nginx 1 2 3
load gunicorn 1 2 3
load postgres 1 2 3
load redis 1 2 3
w 1 cluster set rebalance=off >/dev/null

mkdir -p "$LAB_RUN/app/db"
echo s3cret-of-db >"$LAB_RUN/app/db/password.txt"
cat >"$LAB_RUN/app/compose.yaml" <<'YAML'
name: shop
services:
  db:
    image: demo/postgres:1
    restart: always
    healthcheck:
      test: ['CMD-SHELL', 'pg_isready -h 127.0.0.1 -q']
      interval: 1s
      retries: 5
      start_period: 30s
    secrets:
      - db-password
    volumes:
      - db-data:/var/lib/postgresql/data
    networks:
      - backnet
    environment:
      - POSTGRES_PASSWORD_FILE=/run/secrets/db-password
    expose:
      - 5432

  cache:
    image: demo/redis:1
    restart: always
    volumes:
      - cache:/data
    networks:
      - backnet

  backend:
    image: demo/gunicorn:1
    restart: always
    secrets:
      - db-password
    networks:
      - backnet
      - frontnet
    depends_on:
      db:
        condition: service_healthy
    healthcheck:
      test: ['CMD-SHELL', 'wget -q -O /dev/null http://127.0.0.1:8000/health-check']
      interval: 1s
      start_period: 30s
    stop_grace_period: 5s
    environment: {VERSION: "${VERSION:-1}"}
    deploy:
      replicas: 2
      update_config: {parallelism: 1, order: start-first, monitor: 1s}

  proxy:
    image: demo/nginx:1
    restart: always
    configs:
      - {source: nginx, target: /etc/nginx/nginx.conf}
    ports:
      - 80:80
    depends_on:
      - backend
    networks:
      - frontnet
    deploy: {mode: global}

volumes:
  db-data:
  cache:

secrets:
  db-password:
    file: db/password.txt

configs:
  nginx:
    content: |
      daemon off;
      worker_processes 1;
      error_log /dev/stderr;
      pid /run/nginx.pid;
      events {}
      http {
        access_log /dev/stdout;
        server {
          listen 80;
          location / {
            proxy_pass http://backend:8000;
            proxy_set_header X-Real-IP $$remote_addr;
            proxy_next_upstream error timeout;
          }
        }
      }

networks:
  backnet:
  frontnet:
YAML
deploy() { VERSION=${1:-1} w 1 deploy -f "$LAB_RUN/app/compose.yaml"; }
declare -A address
for n in 1 2 3; do address[$n]=$PREFIX.$n; done
get() { in_host "$1" curl -fs -m 10 "http://${address[$2]}/"; }
visits() { get 1 2 | sed -n 's/^visit \([0-9]*\),.*/\1/p'; }
answers() { visits | grep -q '^[0-9]'; }
# The client's own address comes through nginx, whichever member was asked.
client_is_seen() {
    local n
    for n in 1 2 3; do
        ip netns exec "$LAB-lan" true
        curl -fs -m 10 "http://${address[$n]}/" | grep -q "client $PREFIX.254," || { curl -s "http://${address[$n]}/"; return 1; }
    done
}
db_home() { w 1 ps shop.db --json | jq -r '[.[] | select(.state == "running")][0].node'; }

test_case "deploy" deploy
test_case "it answers" wait_for 60 "an answer" answers
test_case "through each member, which sees the client" client_is_seen
test_case "the data belong to the database's user" w 1 exec shop.db sh -c '[ "$(stat -c "%a %u" "$PGDATA")" = "700 999" ]'
test_case "redis keeps what it is told" w 1 exec shop.cache sh -c 'redis-cli set k v >/dev/null && redis-cli save >/dev/null'

# Requests all the time while the backend is replaced; each is one visit more.
count=$(visits)
(
    ok=0 bad=0
    while [ ! -e "$LAB_RUN/stop" ]; do
        if get 3 1 >/dev/null; then ok=$((ok + 1)); else bad=$((bad + 1)); fi
    done
    echo "$ok $bad" >"$LAB_RUN/asked"
) &
asking=$!
sleep 1
test_case "an update" deploy 2
touch "$LAB_RUN/stop"
wait $asking
read -r ok bad <"$LAB_RUN/asked"
test_case "no request of $((ok + bad)) failed meanwhile" [ "$bad" = 0 ]
none_lost() { [ "$(visits)" -ge $((count + ok + 1)) ]; }
test_case "and none was lost" none_lost

# The database is killed, and comes back with all that it said it had.
count=$(visits)
w 1 kill shop.db >/dev/null
more() { [ "$(visits)" -gt "$count" ]; }
test_case "the database is killed" wait_for 60 "an answer with all visits" more

# A member without the database is lost.
home=$(db_home)
lost=n3
[ "$home" = n3 ] && lost=n2
ask=1
host_kill "${lost#n}"
elsewhere() { [ "$(w 1 ps shop.backend --json | jq --arg n "$lost" '[.[] | select(.state == "running" and .desired == "run" and .node != $n)] | length')" -ge 2 ]; }
test_case "a member is lost: the backend runs elsewhere" wait_for 60 "two backends" elsewhere
still() { in_host $ask curl -fs -m 10 "http://${address[$ask]}/" | grep -q visit; }
test_case "it answers all the same" wait_for 30 "an answer" still
host_boot "${lost#n}"
test_case "the member is back" wait_for 60 "three members" members_up 1 3

# All machines die at once.
count=$(in_host 1 curl -fs -m 10 "http://${address[1]}/" | sed -n 's/^visit \([0-9]*\),.*/\1/p')
for n in 1 2 3; do host_kill $n; done
for n in 1 2 3; do host_boot $n; done
test_case "after all machines died at once it answers" wait_for 120 "an answer with all visits" more
test_case "redis has what it was told" wait_for 30 "the key" eval '[ "$(w 1 exec shop.cache redis-cli get k)" = v ]'

test_case "the database moves with its data" w 1 volume move shop_db-data "$([ "$(db_home)" = n1 ] && echo n2 || echo n1)"
count=$((count + 1))
test_case "and all visits are there" wait_for 60 "an answer with all visits" more
finish
