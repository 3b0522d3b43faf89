<?php

declare(strict_types=1);

// What Composer's autoloader does, for the tests.
spl_autoload_register(static function (string $class): void {
    if (str_starts_with($class, 'Megaki\\')) {
        require __DIR__ . '/../src/' . str_replace('\\', '/', substr($class, 7)) . '.php';
    }
});
