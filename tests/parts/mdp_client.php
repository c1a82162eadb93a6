<?php
// A client of MDP 0.1 written from RFC 7 alone: php mdp_client.php <broker> <service> <count>; ends with 0 if all answers were right.
[, $broker, $service, $count] = $argv;
$client = new ZMQSocket(new ZMQContext(), ZMQ::SOCKET_REQ);
$client->setSockOpt(ZMQ::SOCKOPT_RCVTIMEO, 10000);
$client->setSockOpt(ZMQ::SOCKOPT_LINGER, 0);
$client->connect($broker);
for ($number = 0; $number < (int) $count; $number++) {
    $client->sendMulti(["MDPC01", $service, "request $number", ""]);
    $reply = $client->recvMulti();
    if ($reply !== ["MDPC01", $service, "request $number", ""]) {
        exit(1);
    }
}
