<?php

// Does for Debian's packages what the autoloader of Composer does.

declare(strict_types=1);

namespace {
    require_once 'Nyholm/Psr7/autoload.php';
    require_once 'Slim/autoload.php';
}

// Debian has no package with the two interfaces of PSR-15. With Composer they are
// psr/http-server-handler and psr/http-server-middleware.

namespace Psr\Http\Server {
    use Psr\Http\Message\ResponseInterface;
    use Psr\Http\Message\ServerRequestInterface;

    if (!interface_exists(RequestHandlerInterface::class)) {
        interface RequestHandlerInterface
        {
            public function handle(ServerRequestInterface $request): ResponseInterface;
        }

        interface MiddlewareInterface
        {
            public function process(ServerRequestInterface $request, RequestHandlerInterface $handler): ResponseInterface;
        }
    }
}
