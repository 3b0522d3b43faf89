<?php

// Makes the application, as Laravel's skeleton does. It knows nothing of mkd. The classes
// come from Debian's packages here; with Composer it is require 'vendor/autoload.php'.

declare(strict_types=1);

require_once 'Illuminate/autoload.php';
require_once __DIR__ . '/../classes.php';

$app = new Illuminate\Foundation\Application(dirname(__DIR__));

// What it writes is in one folder.
$var = $_SERVER['APP_VAR'] ?? dirname(__DIR__) . '/var';
foreach (['framework/sessions', 'framework/views', 'framework/cache', 'logs', 'app'] as $folder) {
    is_dir("$var/$folder") || @mkdir("$var/$folder", 0700, true) || is_dir("$var/$folder") || throw new RuntimeException("can't make $var/$folder");
}
touch("$var/notes.sqlite");
$app->useStoragePath($var);
$_ENV['APP_PACKAGES_CACHE'] = "$var/packages.php";
$_ENV['APP_SERVICES_CACHE'] = "$var/services.php";

$app->singleton(Illuminate\Contracts\Http\Kernel::class, App\Kernel::class);
$app->singleton(Illuminate\Contracts\Debug\ExceptionHandler::class, App\Handler::class);

return $app;
