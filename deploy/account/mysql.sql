-- MySQL 8.0 and newer. Not SYSTEM_USER: what has it is protected from the service.
CREATE USER session_control@'%' IDENTIFIED BY '…' REQUIRE SSL;
GRANT PROCESS, CONNECTION_ADMIN, SERVICE_CONNECTION_ADMIN ON *.* TO session_control@'%';
-- Optional, from 8.0.22 on: single sessions among thousands are found at once, and with a second opinion.
GRANT SELECT ON performance_schema.processlist TO session_control@'%';
GRANT SELECT ON performance_schema.threads TO session_control@'%';
