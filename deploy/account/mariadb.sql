-- MariaDB 10.5.2 and newer
CREATE USER session_control@'%' IDENTIFIED BY '…' REQUIRE SSL;
GRANT PROCESS, CONNECTION ADMIN ON *.* TO session_control@'%';
