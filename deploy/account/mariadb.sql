-- MariaDB 10.5.2 and newer. REQUIRE SSL needs TLS on the node, which MariaDB before 11.4 has only when it was set up.
CREATE USER session_control@'%' IDENTIFIED BY '…' REQUIRE SSL;
GRANT PROCESS, CONNECTION ADMIN ON *.* TO session_control@'%';
-- Optional, with performance_schema=ON: clients with host names of 58 or more characters are found as well.
GRANT SELECT ON performance_schema.threads TO session_control@'%';
-- Optional, with performance_schema=ON and the instrument wait/lock/metadata/sql/mdl: it shows who blocks an ALTER.
GRANT SELECT ON performance_schema.metadata_locks TO session_control@'%';
-- Optional, with performance_schema=ON: it then shows the program that opened a session, as the client reported it.
-- GRANT SELECT ON performance_schema.session_connect_attrs TO session_control@'%';
