-- A cloud's MySQL that grants no account the right to KILL but has mysql.rds_kill. Set `kill_with: rds_kill` in nodes.yaml.
CREATE USER session_control@'%' IDENTIFIED BY '…' REQUIRE SSL;
GRANT PROCESS ON *.* TO session_control@'%';
GRANT EXECUTE ON PROCEDURE mysql.rds_kill TO session_control@'%';
-- Optional: for `scope=statement`.
-- GRANT EXECUTE ON PROCEDURE mysql.rds_kill_query TO session_control@'%';
