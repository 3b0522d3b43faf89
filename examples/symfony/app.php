<?php

// A Symfony application in workers of mkd. With Composer it begins with
// require 'vendor/autoload.php'.

declare(strict_types=1);

require __DIR__ . '/autoload.php';
require __DIR__ . '/Kernel.php';

$ARCANGELO_USERSPACE = [
    'on_http' => arca\symfony(new App\Kernel($_SERVER['APP_ENV'] ?? 'prod', false)),
];
