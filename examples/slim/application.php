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
$app->post('/form', function (ServerRequestInterface $request, ResponseInterface $response) {
    $received = ['fields' => $request->getParsedBody(), 'files' => []];
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
$app->map(['PUT', 'PATCH', 'DELETE'], '/items/{id}', function (ServerRequestInterface $request, ResponseInterface $response, array $args) {
    $response->getBody()->write(json_encode([$request->getMethod(), $args['id'], $request->getParsedBody(), md5((string) $request->getBody())]));
    return $response->withStatus(202)->withHeader('Content-Type', 'application/json');
});
$app->get('/moved', fn (ServerRequestInterface $request, ResponseInterface $response) => $response->withStatus(301)->withHeader('Location', '/hello/there'));
$app->get('/empty', fn (ServerRequestInterface $request, ResponseInterface $response) => $response->withStatus(204));
$app->get('/long', function (ServerRequestInterface $request, ResponseInterface $response) {
    $response->getBody()->write(str_repeat("0123456789abcde\n", 20000));
    return $response->withHeader('Content-Type', 'text/plain');
});
$app->get('/broken', fn () => throw new RuntimeException('this goes to the log'));

return $app;
