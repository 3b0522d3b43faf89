<?php

declare(strict_types=1);

namespace arca;

use Illuminate\Contracts\Foundation\Application as LaravelApplication;
use Illuminate\Contracts\Http\Kernel as LaravelKernel;
use Symfony\Component\HttpFoundation\BinaryFileResponse;
use Symfony\Component\HttpFoundation\File\UploadedFile;
use Symfony\Component\HttpFoundation\Request as SymfonyRequest;
use Symfony\Component\HttpFoundation\Response as SymfonyResponse;
use Symfony\Component\HttpKernel\Event\ExceptionEvent;
use Symfony\Component\HttpKernel\EventListener\StreamedResponseListener;
use Symfony\Component\HttpKernel\Exception\HttpExceptionInterface;
use Symfony\Component\HttpKernel\HttpKernelInterface;
use Symfony\Component\HttpKernel\KernelEvents;
use Symfony\Component\HttpKernel\KernelInterface;
use Symfony\Component\HttpKernel\TerminableInterface;

/**
 * Makes an on_http from a kernel of Symfony, or of what is built on it, or from an
 * application of Laravel.
 *
 *     'on_http' => arca\symfony(new App\Kernel('prod', false)),
 *     'on_http' => arca\symfony(require __DIR__ . '/bootstrap/app.php'),
 *
 * It is booted now. Its terminate() is called after the client has the response; then
 * Symfony's services are reset (the tag kernel.reset), and Laravel's objects are put
 * back as they were when it had booted. Exceptions that become a response with a status
 * of 500 or more are logged with their trace. The request's attribute
 * arca\Request::class has the arca\Request.
 *
 * @return \Closure(Request): Response
 */
function symfony(HttpKernelInterface|LaravelApplication|LaravelKernel $kernel): \Closure
{
    if ($kernel instanceof LaravelApplication || $kernel instanceof LaravelKernel) {
        return laravel($kernel);
    }
    if ($kernel instanceof KernelInterface) {
        $kernel->boot();
        listen($kernel);
    }
    return static function (Request $request) use ($kernel): Response {
        $symfony = toSymfony($request);
        $response = $kernel->handle($symfony);
        Worker::after(static function () use ($kernel, $symfony, $response): void {
            if ($kernel instanceof TerminableInterface) {
                $kernel->terminate($symfony, $response);
            }
            if ($kernel instanceof KernelInterface) {
                $kernel->boot(); // resets the services that a request has used
            }
        });
        return fromSymfony($response);
    };
}

/**
 * Logs the exceptions that the kernel makes a response of, and keeps it from printing
 * streamed responses itself, which Symfony 5 does before it returns them.
 */
function listen(KernelInterface $kernel): void
{
    $container = $kernel->getContainer();
    if (!$container->has('event_dispatcher')) {
        return;
    }
    $dispatcher = $container->get('event_dispatcher');
    $dispatcher->addListener(KernelEvents::EXCEPTION, static function (ExceptionEvent $event): void {
        $e = $event->getThrowable();
        if (!$e instanceof HttpExceptionInterface || $e->getStatusCode() >= 500) {
            Wire::send(Wire::LOG, Wire::FAILURE, (string) $e);
        }
    }, 2048); // before one that responds
    foreach ($dispatcher->getListeners(KernelEvents::RESPONSE) as $listener) {
        if (is_array($listener) && $listener[0] instanceof StreamedResponseListener) {
            $dispatcher->removeListener(KernelEvents::RESPONSE, $listener);
        }
    }
}

/**
 * Makes a request for Symfony of a request.
 *
 * @param class-string<UploadedFile> $uploads
 */
function toSymfony(Request $request, string $uploads = UploadedFile::class): SymfonyRequest
{
    $files = $request->files;
    array_walk_recursive($files, static function (Upload &$file) use ($uploads): void {
        $file = $file->error === UPLOAD_ERR_NO_FILE // Symfony makes null of it
            ? ['error' => $file->error, 'name' => '', 'size' => 0, 'tmp_name' => '', 'type' => '']
            // Not an upload to PHP, which would refuse to move it.
            : new $uploads($file->path, $file->fullPath, $file->type, $file->error, true);
    });
    $isLong = (int) ($request->server['CONTENT_LENGTH'] ?? 0) > Wire::COPY_LIMIT;
    return new SymfonyRequest(
        $request->query,
        $request->form,
        [Request::class => $request],
        $request->cookies,
        $files,
        $request->server,
        $isLong ? $request->bodyStream() : $request->body(),
    );
}

/** Makes a response of Symfony's. What it prints is sent as it comes. */
function fromSymfony(SymfonyResponse $from): Response
{
    $content = $from->getContent();
    if ($content === false) {
        $content = (static function () use ($from): iterable {
            if ($from instanceof BinaryFileResponse) {
                yield ''; // its header is final, with its length
            }
            $from->sendContent();
            yield '';
        })();
    }
    $response = new Response($content, $from->getStatusCode());
    if ($from->headers->has('X-Sendfile') || $from->headers->has('X-Accel-Redirect')) {
        $from->headers->remove('Content-Length'); // that of the file, which mkd sends
    }
    foreach ($from->headers->allPreserveCaseWithoutCookies() as $name => $values) {
        $response->header((string) $name, array_map(strval(...), $values));
    }
    foreach ($from->headers->getCookies() as $cookie) {
        $response->addHeader('Set-Cookie', (string) $cookie);
    }
    return $response;
}
