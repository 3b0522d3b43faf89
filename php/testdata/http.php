<?php
// What the tests ask of on_http: the path names it.

use arca\Request;
use arca\Response;

session_save_path(sys_get_temp_dir());
require_once __DIR__ . '/globals.php';

$boot = ['errors' => set_error_handler(null)];
restore_error_handler();
$kept = [];

$ARCANGELO_USERSPACE = [
    'on_http' => function (Request $r) use (&$kept, $boot) {
        switch (substr($r->path, 1)) {
            case 'hello': return 'hello';
            case 'pid': return (string) getmypid();
            case 'dump': return Response::json(dump($r));
            case 'globals': return globals(md5($r->body()));
            case 'hash': return md5($r->body()) . ' ' . md5(stream_get_contents($r->bodyStream()));
            case 'hashstream': $h = hash_init('md5'); hash_update_stream($h, $r->bodyStream()); return hash_final($h);
            case 'memory': $r->bodyStream(); return (string) memory_get_peak_usage();
            case 'print': echo 'printed ', 'body'; http_response_code(404); return;
            case 'printreturn': echo 'printed, '; return 'returned';
            case 'nothing': return;
            case 'response': return (new Response('body', 418, ['X-One' => '1']))->addHeader('X-Two', 'a')->addHeader('X-Two', 'b')->cookie('c', 'v 1');
            case 'reset': return (string) http_response_code();
            case 'nocontent': return new Response('ignored', 204);
            case 'env': $was = json_encode($_ENV); $_ENV['LEFT'] = 'x'; return $was;
            case 'json': return Response::json($r->json());
            case 'parts': return ['one', 'two'];
            case 'generator': return (function () { http_response_code(201); yield 'one'; yield ''; yield 'two'; })();
            case 'halfway': return (function () { yield 'half'; throw new LogicException('thrown halfway'); })();
            case 'exithalfway': return (function () { yield 'half'; exit; })();
            case 'early': return (function () { throw new LogicException('thrown early'); yield 'never'; })();
            case 'endless': return (function () use ($r) { try { while (true) { yield str_repeat('x', 65536); } } finally { touch($r->query['done']); } })();
            case 'short': return new Response((fn () => yield 'abc')(), 200, ['Content-Length' => '10']);
            case 'long': return new Response((fn () => yield '0123456789k')(), 200, ['Content-Length' => '10']);
            case 'longstring': return new Response("0123456789\n", 200, ['Content-Length' => '10']);
            case 'longparts': return new Response((function () { yield '01234567'; yield '8'; yield "9\n"; yield 'x'; yield str_repeat('x', 100_000); })(), 200, ['Content-Length' => '10']);
            case 'longendless': return new Response((function () { yield '0123456789'; while (true) { yield str_repeat('x', 10_000); } })(), 200, ['Content-Length' => '10']);
            case 'hints': Response::earlyHints(['Link' => ['</a.css>; rel=preload', '</b.js>; rel=preload']]); Response::earlyHints(['X-Second' => 2]); return 'hinted';
            case 'hint103': return new Response('hinted', 103, ['Link' => '</a.css>; rel=preload']);
            case 'status103': http_response_code(103); echo 'printed'; return;
            case 'hintlate': return (function () { yield 'part'; Response::earlyHints(['X-Late' => 1]); yield 'part'; })();
            case 'hintsthrow': Response::earlyHints(['X-First' => 1]); throw new Exception('after the hint');
            case 'promised': return new Response((fn () => yield '0123456789')(), 200, ['Content-Length' => '10']);
            case 'throw': echo 'before'; throw new RuntimeException('thrown on purpose');
            case 'exit': exit;
            case 'exitprinted': echo 'decided'; http_response_code(403); exit;
            case 'exitstatus': http_response_code(404); exit;
            case 'fatal': eval('class Exists {} class Exists {}'); return 'x';
            case 'eat': $s = ''; while (true) { $s .= str_repeat('x', 1 << 20); }
            case 'buffers': ob_start(); echo 'left '; ob_start(); echo 'open'; return;
            case 'handlers': set_error_handler(fn () => true); set_error_handler(null); set_exception_handler(fn () => null); return 'set';
            case 'nohandlers': restore_error_handler(); restore_error_handler(); return 'taken';
            case 'check': $h = set_error_handler(null); restore_error_handler(); $e = set_exception_handler(null); restore_exception_handler(); return var_export([$h === $boot['errors'], $e, ob_get_level(), $_GET, $_POST, isset($_SESSION)], true);
            case 'stuckbuffer': echo 'a part'; ob_start(null, 0, 0); echo ' of it'; return;
            case 'stuckexit': echo 'a part'; ob_start(null, 0, 0); echo ' of it'; exit;
            case 'stuckparts': return (function () { yield 'a part'; ob_start(null, 0, 0); echo ' of it'; })();
            case 'stuckthrow': set_error_handler(fn ($level, $message) => throw new ErrorException($message)); ob_start(null, 0, 0); echo 'a part'; return;
            case 'unprintable': set_exception_handler(fn () => null); echo 'a part'; throw new class () extends Exception { public function __toString(): string { throw new Exception('again'); } };
            case 'destruct': return new Response(new class () implements IteratorAggregate { public function getIterator(): Iterator { yield 'whole'; } public function __destruct() { throw new RuntimeException('thrown by a destructor'); } });
            case 'status99': return new Response('', 99);
            case 'split': return (new Response('x'))->header('X-A', "a\r\nX-B: b");
            case 'manyheaders': return new Response('x', 200, ['X-A' => array_fill(0, 300, 'v')]);
            case 'bigheader': return new Response('x', 200, ['X-A' => str_repeat('v', 70_000)]);
            case 'object': return new stdClass;
            case 'resource': return Response::file(__FILE__, 'text/x-php', 'ärger "1".php');
            case 'download': return Response::file($r->query['file']);
            case 'promisedparts': return Response::stream((function () { for ($i = 0; $i < 200; $i++) { yield str_repeat('x', 65536); } })())->header('Content-Length', 200 * 65536);
            case 'middle': $f = fopen('php://temp', 'w+b'); fwrite($f, '0123456789'); fseek($f, 4); return new Response($f);
            case 'pipe': return new Response(popen('printf one; sleep 0.05; printf two', 'r'), 200, ['Content-Type' => 'text/plain']);
            case 'missing': return Response::file('/nonexistent');
            case 'big': return str_repeat('x', (int) $r->query['n']);
            case 'redirect': return Response::redirect('/elsewhere', 303);
            case 'ours': return new Response('x', 200, ['Connection' => 'close', 'Transfer-Encoding' => 'chunked', 'Content-Length' => '77', 'X-Kept' => 'y']);
            case 'forms':
                $files = $r->files;
                array_walk_recursive($files, function (&$u) { $u = [$u->name, $u->contents()]; });
                return json_encode([json_encode($r->form), $r->body(), json_encode($files), json_encode($_POST), count($_FILES)], JSON_UNESCAPED_SLASHES);
            case 'move': $r->files['f']->moveTo($r->query['to']); return (string) filesize($r->query['to']);
            case 'uploads': return implode("\n", array_map(fn ($u) => $u->path . ' ' . md5($u->contents()) . ' ' . (int) is_writable($u->path), $r->files['f']));
            case 'uploadexit': file_put_contents($r->query['note'], $r->files['f']->path); posix_kill(getmypid(), SIGKILL); sleep(10);
            case 'session': session_start(); $_SESSION['n'] = ($_SESSION['n'] ?? 0) + 1; $_SESSION['who'] ??= $r->query['who']; usleep(random_int(0, 300)); return "{$_SESSION['who']} {$_SESSION['n']} " . ($_COOKIE['me'] ?? '') . ' ' . ($_GET['who'] ?? '');
            case 'sessionopts': session_name('other'); session_start(['cookie_lifetime' => 100, 'cookie_samesite' => 'Strict']); return 'x';
            case 'regenerate': session_start(); $_SESSION['who'] ??= 'me'; session_regenerate_id(true); return session_id();
            case 'destroy': session_start(); session_destroy(); return 'x';
            case 'sessionstream': session_start(); return (function () { yield 'a'; $_SESSION['who'] = 'streamed'; $_SESSION['n'] = 0; yield 'b'; })();
            case 'sessionlate': echo 'x'; flush(); session_start(); return;
            case 'sessioncheck': return var_export([session_id(), session_name(), isset($_SESSION), ini_get('session.cookie_lifetime'), session_status() === PHP_SESSION_NONE], true);
            case 'after': return var_export([array_keys($kept)], true);
            case 'arca': return implode(' ', [bin2hex(arca::$guid), bin2hex(arca::$token), arca::$client_ip, arca::$client_port, strlen(arca::$request)]);
        }
        return Response::text('no such thing', 404);
    },
];

function dump(Request $r): array
{
    $files = $r->files;
    array_walk_recursive($files, function (&$u) { $u = [$u->name, $u->fullPath, $u->type, $u->error, $u->size]; });
    return ['method' => $r->method, 'target' => $r->target, 'path' => $r->path, 'url' => $r->url(), 'scheme' => $r->scheme, 'host' => $r->host,
        'protocol' => $r->protocol, 'headers' => $r->headers, 'query' => $r->query, 'cookies' => $r->cookies, 'form' => $r->form, 'files' => $files,
        'ip' => $r->clientIp, 'port' => $r->clientPort, 'session' => $r->session === null ? null : bin2hex($r->session), 'agent' => $r->header('user-agent'),
        'server' => $r->server, 'same' => $r->server === $_SERVER];
}
