-- For docker-compose.yml, and for trials only: deploy/account has the SQL for a node of your own.
-- The control account, made by the image with no privilege at all, gets what the service needs:
-- to see all sessions, to end those of other accounts, and to get in when the node is full.
-- Not SYSTEM_USER: with it, it could also end the sessions of the most privileged accounts.
GRANT PROCESS, CONNECTION_ADMIN, SERVICE_CONNECTION_ADMIN ON *.* TO session_control@'%';
-- Optional: single sessions among thousands are found at once.
GRANT SELECT ON performance_schema.processlist TO session_control@'%';
-- Recommended: it shows whether a thread serves a client, whatever account and host the process list shows.
GRANT SELECT ON performance_schema.threads TO session_control@'%';
-- Optional: `scope=statement` then distinguishes statements by their events, not only by their text.
GRANT SELECT ON performance_schema.events_statements_current TO session_control@'%';
-- Recommended: it shows which sessions block others.
GRANT SELECT ON performance_schema.data_lock_waits TO session_control@'%';
GRANT SELECT ON performance_schema.data_locks TO session_control@'%';
GRANT SELECT ON performance_schema.metadata_locks TO session_control@'%';
ALTER USER session_control@'%' REQUIRE SSL;

-- The account of the health check, with no privilege at all. MariaDB's image makes one by itself.
CREATE USER healthcheck@'127.0.0.1' IDENTIFIED BY 'healthcheck-for-trials-only';

-- An account to make sessions with.
CREATE DATABASE shop;
CREATE USER app@'%' IDENTIFIED BY 'app-for-trials-only';
GRANT ALL ON shop.* TO app@'%';
