<?php

// The program that `sazukari conformance` tests the client with.

declare(strict_types=1);

use Megaki\Client;
use Megaki\Exception\MegakiException;
use Megaki\ServerKey;

require __DIR__ . '/autoload.php';

[, $host, $port, $key, $session, $timeout] = $argv;
$seconds = $timeout / 1000;
$client = new Client(
    $host,
    (int) $port,
    ServerKey::read($key),
    sessionFile: $session,
    handshakeTimeout: $seconds,
    messageTimeout: $seconds,
);
try {
    while (strlen($size = (string) stream_get_contents(STDIN, 4)) === 4) {
        $response = $client->send(stream_get_contents(STDIN, unpack('N', $size)[1]));
        fwrite(STDOUT, pack('N', strlen($response)) . $response);
    }
} catch (MegakiException $e) {
    fwrite(STDERR, $e->getMessage() . "\n");
    exit($e->getCode());
}
