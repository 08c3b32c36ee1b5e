"""Settings of the embedded servers: good throughput on two cores, little to do when idle.

Durability is not for sale: fsync, full page writes and synchronous commit stay on, because what
the engine promises is tested on these servers.
"""

from collections.abc import Mapping

POSTGRES: Mapping[str, str] = {
    # Reached over TCP on this host only; socket paths in deep folders would be too long.
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # One server without replicas: nobody reads the log but recovery.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_replication_slots": "0",
    # Rare checkpoints write fewer full pages; at most this much log is read after a crash.
    "checkpoint_timeout": "15min",
    "max_wal_size": "2GB",
    "min_wal_size": "256MB",
    "wal_buffers": "16MB",
    # Commits arrive in batches of their own; waiting for company only adds latency.
    "commit_delay": "0",
    "shared_buffers": "128MB",
    "effective_cache_size": "1GB",
    "work_mem": "8MB",
    "maintenance_work_mem": "128MB",
    "random_page_cost": "1.1",
    # Many short statements: compiling one costs more than running it.
    "jit": "off",
    "max_worker_processes": "4",
    "max_parallel_workers": "2",
    "max_parallel_workers_per_gather": "1",
    # The tables of waits and publications live by insert and delete: sweep them soon and fast.
    "autovacuum_naptime": "20s",
    "autovacuum_vacuum_cost_limit": "1000",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    "log_checkpoints": "off",
}

# Known to PostgreSQL 18 and later only.
POSTGRES_18: Mapping[str, str] = {
    # Reads come from memory; three more processes would mostly wait.
    "io_method": "sync",
}

VALKEY: Mapping[str, str] = {
    "bind": "127.0.0.1",
    "protected-mode": "yes",
    "save": '""',
    "appendonly": "yes",
    "appendfsync": "everysec",
    "auto-aof-rewrite-min-size": "64mb",
    # Eviction would drop streams with work in them; a full server must say so instead.
    "maxmemory": "512mb",
    "maxmemory-policy": "noeviction",
    # Housekeeping per second. Blocked readers and expiry on access do not depend on it.
    "hz": "5",
    "activerehashing": "no",
    "timeout": "0",
    "tcp-keepalive": "60",
    "daemonize": "no",
    "loglevel": "notice",
    "always-show-logo": "no",
}
