-- MySQL 8.0 and newer. Without SYSTEM_USER, the service cannot end the sessions of accounts that have SYSTEM_USER.
CREATE USER session_control@'%' IDENTIFIED BY '…' REQUIRE SSL;
GRANT PROCESS, CONNECTION_ADMIN, SERVICE_CONNECTION_ADMIN ON *.* TO session_control@'%';
-- Optional, from 8.0.22 on: the service finds single sessions among thousands without a read of the whole list.
GRANT SELECT ON performance_schema.processlist TO session_control@'%';
-- Recommended: it shows whether a thread serves a client, whatever account and host the process list shows.
GRANT SELECT ON performance_schema.threads TO session_control@'%';
-- Optional: `scope=statement` then distinguishes statements by their events, not only by their text.
GRANT SELECT ON performance_schema.events_statements_current TO session_control@'%';
-- Optional: a dry run then shows which sessions the node protects, because their account has SYSTEM_USER.
-- GRANT SELECT (USER, HOST, PRIV) ON mysql.global_grants TO session_control@'%';
-- GRANT SELECT (User, Host) ON mysql.user TO session_control@'%';
-- GRANT SELECT ON mysql.role_edges TO session_control@'%';
-- GRANT SELECT ON mysql.default_roles TO session_control@'%';
-- Recommended: it shows which sessions block others.
GRANT SELECT ON performance_schema.data_lock_waits TO session_control@'%';
GRANT SELECT ON performance_schema.data_locks TO session_control@'%';
GRANT SELECT ON performance_schema.metadata_locks TO session_control@'%';
-- Optional: the service then shows the attributes that a client sent at login, such as its program.
-- GRANT SELECT ON performance_schema.session_connect_attrs TO session_control@'%';
