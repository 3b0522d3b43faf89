<?php

declare(strict_types=1);

namespace arca;

use Illuminate\Contracts\Debug\ExceptionHandler;
use Illuminate\Contracts\Foundation\Application as LaravelApplication;
use Illuminate\Contracts\Http\Kernel as LaravelKernel;
use Illuminate\Foundation\Bootstrap\RegisterProviders;
use Illuminate\Foundation\Bootstrap\SetRequestForConsole;
use Illuminate\Http\Request as LaravelRequest;
use Illuminate\Http\UploadedFile as LaravelUploadedFile;
use Illuminate\Routing\RouteCollection;
use Illuminate\Support\Once;

/**
 * Makes an on_http from an application of Laravel. It boots now. After each request all
 * its objects are put back as they were after on_init.
 *
 * @internal see symfony()
 * @return \Closure(Request): Response
 */
function laravel(LaravelApplication|LaravelKernel $kernel): \Closure
{
    if ($kernel instanceof LaravelApplication) {
        $kernel = $kernel->make(LaravelKernel::class);
    }
    $app = $kernel->getApplication();
    bootLaravel($app, $kernel);
    Worker::$keep = static function () use ($app, $kernel): \Closure {
        $connections = $app->bound('db') ? new LaravelConnections($app->make('db')) : null;
        $snapshot = new Snapshot([$app, $kernel], '{^(Illuminate|Carbon|Symfony\\\\Component\\\\HttpFoundation)\\\\}');
        return static function () use ($snapshot, $connections): ?string {
            $connections?->release();
            $failure = $snapshot->restore();
            if (class_exists(Once::class, false)) {
                Once::flush(); // from Laravel 11 on; its WeakMap isn't put back
            }
            return $failure === null ? null : "the application can't be put back: $failure";
        };
    };
    return static function (Request $request) use ($kernel): Response {
        $laravel = LaravelRequest::createFromBase(toSymfony($request, LaravelUploadedFile::class));
        $response = $kernel->handle($laravel);
        Worker::after(static fn () => $kernel->terminate($laravel, $response));
        return fromSymfony($response);
    };
}

/** Boots an application as far as it can be without a request. */
function bootLaravel(LaravelApplication $app, LaravelKernel $kernel): void
{
    (new \ReflectionProperty($app, 'isRunningInConsole'))->setValue($app, false); // it would look at PHP_SAPI
    // Providers may ask for the request.
    $app->beforeBootstrapping(RegisterProviders::class, (new SetRequestForConsole())->bootstrap(...));
    $kernel->bootstrap();
    $app->loadDeferredProviders();
    foreach (['auth', 'cache', 'cookie', 'events', 'files', 'log', 'router', 'session', 'translator', 'url', 'validator', 'view'] as $service) {
        try {
            $app->make($service); // else each request would
        } catch (\Throwable) {
            // It isn't configured, and may not be needed.
        }
    }
    $routes = $app->make('router')->getRoutes();
    foreach ($routes instanceof RouteCollection ? $routes : [] as $route) {
        $route->matches($app->make('request')); // compiles it
    }
    $handler = $app->make(ExceptionHandler::class);
    if (method_exists($handler, 'reportable')) {
        $handler->reportable(static function (\Throwable $e): void {
            Wire::send(Wire::LOG, Wire::FAILURE, (string) $e);
        });
    }
}
