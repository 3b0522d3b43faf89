<?php

// A Slim application behind PSR-15 middleware, in workers of mkd. The classes
// come from Debian's packages here (php-slim, php-nyholm-psr7); with Composer
// the first line is require 'vendor/autoload.php'.

declare(strict_types=1);

require __DIR__ . '/autoload.php';

use Nyholm\Psr7\Factory\Psr17Factory;
use Psr\Http\Message\ResponseInterface;
use Psr\Http\Message\ServerRequestInterface;
use Psr\Http\Server\MiddlewareInterface;
use Psr\Http\Server\RequestHandlerInterface;

/** Adds to each response how long it took. */
final class Timing implements MiddlewareInterface
{
    public function process(ServerRequestInterface $request, RequestHandlerInterface $handler): ResponseInterface
    {
        $begin = hrtime(true);
        $response = $handler->handle($request);
        return $response->withHeader('Server-Timing', sprintf('app;dur=%.3f', (hrtime(true) - $begin) / 1e6));
    }
}

/** Passes requests through a middleware to a handler. */
final class Through implements RequestHandlerInterface
{
    public function __construct(private MiddlewareInterface $middleware, private RequestHandlerInterface $next)
    {
    }

    public function handle(ServerRequestInterface $request): ResponseInterface
    {
        return $this->middleware->process($request, $this->next);
    }
}

/** Slim 3, as Debian has it, is older than PSR-15; Slim 4's App is a RequestHandlerInterface itself. */
final class Slim implements RequestHandlerInterface
{
    public function __construct(private Slim\App $app, private Psr17Factory $factory)
    {
    }

    public function handle(ServerRequestInterface $request): ResponseInterface
    {
        return $this->app->process($request, $this->factory->createResponse());
    }
}

$factory = new Psr17Factory();
$ARCANGELO_USERSPACE = [
    'on_http' => arca\psr(new Through(new Timing(), new Slim(require __DIR__ . '/application.php', $factory)), $factory),
];
