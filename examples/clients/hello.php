<?php

// php hello.php 127.0.0.1 6363
require 'vendor/autoload.php';

[, $host, $port] = $argv;
$client = new Megaki\Client($host, (int) $port, Megaki\ServerKey::read('server.key.pub'), sessionFile: 'session');
echo $client->send('hello'), "\n";
$page = $client->request('GET', '/');
echo $page->getStatusCode(), ' ', $page->getBody();
