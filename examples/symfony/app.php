<?php

// A Symfony application in workers of mkd. The classes come from Debian's packages here
// (php-symfony-framework-bundle); with Composer it is require 'vendor/autoload.php'.

declare(strict_types=1);

require 'Symfony/Bundle/FrameworkBundle/autoload.php';
require __DIR__ . '/Kernel.php';

$ARCANGELO_USERSPACE = [
    'on_http' => arca\symfony(new App\Kernel($_SERVER['APP_ENV'] ?? 'prod', false)),
];
