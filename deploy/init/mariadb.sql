-- For docker-compose.yml, and for trials only: deploy/account has the SQL for a node of your own.
-- The control account, made by the image with no privilege at all, gets what the service needs:
-- to see all sessions, to end those of other accounts, and to get in when the node is full.
-- CONNECTION ADMIN also covers a few settings (max_connections, init_connect): there is nothing narrower.
GRANT PROCESS, CONNECTION ADMIN ON *.* TO session_control@'%';
-- Optional, with performance_schema=ON: clients with host names of 58 or more characters are found as well.
GRANT SELECT ON performance_schema.threads TO session_control@'%';
-- Optional, with performance_schema=ON and the instrument wait/lock/metadata/sql/mdl: it shows who blocks an ALTER.
GRANT SELECT ON performance_schema.metadata_locks TO session_control@'%';
ALTER USER session_control@'%' REQUIRE SSL;

-- An account to make sessions with.
CREATE DATABASE shop;
CREATE USER app@'%' IDENTIFIED BY 'app-for-trials-only';
GRANT ALL ON shop.* TO app@'%';
