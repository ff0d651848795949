-- TiDB 5.1 and newer; with Security Enhanced Mode also RESTRICTED_CONNECTION_ADMIN. REQUIRE SSL needs auto-tls = true on the server.
CREATE USER session_control@'%' IDENTIFIED BY '…' REQUIRE SSL;
GRANT PROCESS, CONNECTION_ADMIN ON *.* TO session_control@'%';
