<?php

// Loads Arcangelo without starting it.

declare(strict_types=1);

foreach (glob(dirname(__DIR__) . '/*.php') as $file) {
    if (basename($file) !== 'main.php') {
        require_once $file;
    }
}
