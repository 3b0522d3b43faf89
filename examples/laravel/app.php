<?php

// The application in a worker of mkd.

declare(strict_types=1);

$ARCANGELO_USERSPACE = [
    'on_http' => arca\symfony(require __DIR__ . '/bootstrap/app.php'),
];
