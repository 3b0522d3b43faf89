<?php

// A small site in one script: it is loaded once, and handles thousands of requests.

declare(strict_types=1);

use arca\Request;
use arca\Response;

// Others can create files in the folder for temporary files, too, under any name.
$uploads = sys_get_temp_dir() . '/php-workers-' . posix_geteuid();
if (!@mkdir($uploads, 0700) && (is_link($uploads) || !is_dir($uploads) || fileowner($uploads) !== posix_geteuid())) {
    throw new RuntimeException("$uploads isn't a folder of this user");
}
chmod($uploads, 0700);

function page(string $title, string $html, int $status = 200): Response
{
    return Response::html("<!doctype html>\n<title>$title</title>\n<h1>$title</h1>\n$html\n", $status);
}

function text(mixed $value): string
{
    return htmlspecialchars(is_string($value) ? $value : '');
}

/** @var array<string, callable(Request): mixed> $routes */
$routes = [
    'GET /' => fn () => page('php-workers', '<p><a href="/form">A form</a>, <a href="/visits">a session</a>, <a href="/count">a stream</a>, <a href="/progress">another</a></p>'),

    'GET /hello' => fn (Request $r) => 'Hello, ' . text($r->query['name'] ?? 'world') . "!\n",

    'GET /form' => fn () => page('A form', <<<'HTML'
        <form method="post" enctype="multipart/form-data">
          <input name="person[name]" placeholder="name"> <input name="file" type="file"> <button>Send</button>
        </form>
        HTML),

    'POST /form' => function (Request $r) use ($uploads) {
        $person = $r->form['person'] ?? null; // the client decides what it is
        $name = is_array($person) && is_string($person['name'] ?? null) ? $person['name'] : 'stranger';
        $file = $r->files['file'] ?? null;
        if ($file instanceof arca\Upload && $file->isOk()) {
            $file->moveTo($uploads . '/' . md5($file->name)); // a name from a client is no path
            return Response::redirect('/download?file=' . rawurlencode($file->name), 303);
        }
        return Response::text("Thank you, $name\n");
    },

    'GET /download' => function (Request $r) use ($uploads) {
        $name = $r->query['file'] ?? '';
        $path = $uploads . '/' . md5(is_string($name) ? $name : '');
        return is_file($path) ? Response::file($path, 'application/octet-stream', $name) : Response::text("no such file\n", 404);
    },

    'GET /cookie' => fn (Request $r) => Response::text('seen ' . (isset($r->cookies['seen']) ? 'before' : 'never') . "\n")
        ->cookie('seen', 'before', expires: time() + 3600),

    'GET /visits' => function () {
        session_start();
        $_SESSION['visits'] = ($_SESSION['visits'] ?? 0) + 1;
        return Response::text("visit {$_SESSION['visits']}\n");
    },

    'GET /count' => fn () => Response::stream((function () {
        for ($i = 1; $i <= 5; $i++) {
            yield "$i\n";
            usleep(50_000);
        }
    })()),

    'GET /progress' => function () { // what is printed is a stream, too
        for ($i = 1; $i <= 5; $i++) {
            echo "step $i\n";
            flush();
            usleep(50_000);
        }
        echo "done\n";
    },

    'POST /echo' => fn (Request $r) => Response::json($r->json()),

    'PUT /length' => function (Request $r) { // of whatever size
        $stream = $r->bodyStream();
        return Response::text(fstat($stream)['size'] . " bytes\n");
    },

    'GET /broken' => fn () => throw new RuntimeException('this goes to the log, with a trace'),
];

$ARCANGELO_USERSPACE = [
    'on_http' => function (Request $r) use ($routes) {
        $method = $r->method === 'HEAD' ? 'GET' : $r->method;
        $handler = $routes["$method $r->path"] ?? null;
        return $handler ? $handler($r) : page('Not found', '<p>Nothing is here.</p>', 404);
    },
];
