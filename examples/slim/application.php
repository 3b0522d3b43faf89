<?php

// The application: routes and what they do. It knows nothing of the server.

declare(strict_types=1);

use Psr\Http\Message\ResponseInterface;
use Psr\Http\Message\ServerRequestInterface;

$app = new Slim\App(['settings' => ['addContentLengthHeader' => false]]);
// Errors go to the server, which logs them and responds with 500.
unset($app->getContainer()['errorHandler'], $app->getContainer()['phpErrorHandler']);

$app->getContainer()['notFoundHandler'] = fn () => function (ServerRequestInterface $request, ResponseInterface $response) {
    $response->getBody()->write("there is nothing here\n");
    return $response->withStatus(404)->withHeader('Content-Type', 'text/plain');
};

$app->get('/hello/{name}', function (ServerRequestInterface $request, ResponseInterface $response, array $args) {
    $response->getBody()->write("Hello, {$args['name']}!\n");
    return $response->withHeader('Content-Type', 'text/plain');
});
// Slim 3's own request parses JSON, as Slim 4's BodyParsingMiddleware does; other PSR-7 requests don't.
$parsed = fn (ServerRequestInterface $request): mixed => $request->getParsedBody()
    ?? (str_contains($request->getHeaderLine('Content-Type'), 'json') ? json_decode((string) $request->getBody(), true) : null);

$app->post('/form', function (ServerRequestInterface $request, ResponseInterface $response) use ($parsed) {
    $received = ['fields' => $parsed($request), 'files' => []];
    foreach ($request->getUploadedFiles() as $field => $file) {
        if ($file->getError() === UPLOAD_ERR_OK) {
            $received['files'][$field] = [$file->getClientFilename(), md5((string) $file->getStream())];
        }
    }
    $response->getBody()->write(json_encode($received));
    return $response->withHeader('Content-Type', 'application/json');
});
$app->get('/whoami', function (ServerRequestInterface $request, ResponseInterface $response) {
    $response->getBody()->write($request->getAttribute(arca\Request::class)->clientIp . "\n");
    return $response;
});
$app->get('/search', function (ServerRequestInterface $request, ResponseInterface $response) {
    $response->getBody()->write(json_encode([$request->getQueryParams(), $request->getCookieParams(), $request->getHeaderLine('Accept')]));
    return $response->withHeader('Content-Type', 'application/json')->withAddedHeader('Set-Cookie', 'seen=1')->withAddedHeader('Set-Cookie', 'two=2');
});
$app->map(['PUT', 'PATCH', 'DELETE'], '/items/{id}', function (ServerRequestInterface $request, ResponseInterface $response, array $args) use ($parsed) {
    $response->getBody()->write(json_encode([$request->getMethod(), $args['id'], $parsed($request), md5((string) $request->getBody())]));
    return $response->withStatus(202)->withHeader('Content-Type', 'application/json');
});
$app->get('/moved', fn (ServerRequestInterface $request, ResponseInterface $response) => $response->withStatus(301)->withHeader('Location', '/hello/there'));
$app->get('/empty', fn (ServerRequestInterface $request, ResponseInterface $response) => $response->withStatus(204));
$app->get('/long', function (ServerRequestInterface $request, ResponseInterface $response) {
    $response->getBody()->write(str_repeat("0123456789abcde\n", 20000));
    return $response->withHeader('Content-Type', 'text/plain');
});
$app->get('/agreed', function (ServerRequestInterface $request, ResponseInterface $response) {
    $response = $response->withHeader('ETag', '"v1"')->withHeader('Vary', 'Accept, Accept-Language');
    if ($request->getHeaderLine('If-None-Match') === '"v1"') {
        return $response->withStatus(304);
    }
    $seen = [$request->getHeaderLine('Accept-Language'), $request->getHeaderLine('Authorization')];
    if (str_contains($request->getHeaderLine('Accept'), 'json')) {
        $response->getBody()->write(json_encode($seen));
        return $response->withHeader('Content-Type', 'application/json');
    }
    $response->getBody()->write('<p>' . htmlspecialchars(json_encode($seen)) . "</p>\n");
    return $response->withHeader('Content-Type', 'text/html');
});
$app->get('/file', fn (ServerRequestInterface $request, ResponseInterface $response) => $response
    ->withHeader('Content-Type', 'text/plain')->withBody(new Slim\Http\Stream(fopen(__FILE__, 'r'))));
// A body whose length nobody knows beforehand.
$app->get('/stream', fn (ServerRequestInterface $request, ResponseInterface $response) => $response
    ->withHeader('Content-Type', 'text/plain')->withBody(new Slim\Http\Stream(popen('printf "part 1\n"; printf "part 2\n"', 'r'))));
$app->get('/down', fn (ServerRequestInterface $request, ResponseInterface $response) => $response->withStatus(503)->withHeader('Retry-After', '60'));
$app->get('/broken', fn () => throw new RuntimeException('this goes to the log'));

return $app;
