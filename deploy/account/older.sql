-- MySQL 5.7, MariaDB before 10.5.2: they have no narrower privilege than SUPER. REQUIRE SSL needs TLS on the node.
CREATE USER session_control@'%' IDENTIFIED BY '…' REQUIRE SSL;
GRANT PROCESS, SUPER ON *.* TO session_control@'%';
