-- MariaDB 10.5.2 and newer. REQUIRE SSL needs TLS on the node, which MariaDB before 11.4 has only if you set it up.
CREATE USER session_control@'%' IDENTIFIED BY '…' REQUIRE SSL;
GRANT PROCESS, CONNECTION ADMIN ON *.* TO session_control@'%';
-- Optional, with performance_schema=ON: the service then also finds clients whose host names have 58 or more characters.
GRANT SELECT ON performance_schema.threads TO session_control@'%';
-- Optional, with performance_schema=ON and the instrument wait/lock/metadata/sql/mdl: it shows which session blocks an ALTER.
GRANT SELECT ON performance_schema.metadata_locks TO session_control@'%';
-- Optional, with performance_schema=ON: the service then shows the attributes that a client sent at login, such as its program.
-- GRANT SELECT ON performance_schema.session_connect_attrs TO session_control@'%';
