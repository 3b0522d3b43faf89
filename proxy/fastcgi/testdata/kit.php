<?php
// What the tests have PHP-FPM do; see fpm_test.go.
$hold = function (string $file): void { // until the test makes the file
    while (!file_exists($file)) {
        usleep(2000);
        clearstatcache();
    }
};
switch ($_GET['do'] ?? '') {
    case 'env':
        header('Content-Type: application/json');
        echo json_encode($_SERVER);
        break;
    case 'echo':
        header('Content-Type: application/octet-stream');
        $in = fopen('php://input', 'r');
        stream_copy_to_stream($in, fopen('php://output', 'w'));
        break;
    case 'hash':
        echo $_SERVER['CONTENT_LENGTH'] ?? 'none', ' ', hash_file('sha256', 'php://input');
        break;
    case 'form':
        echo json_encode(['post' => $_POST, 'files' => array_map(fn ($f) => $f['size'], $_FILES)]);
        break;
    case 'cookies':
        setcookie('one', '1');
        setcookie('two', 'a b; c');
        echo json_encode($_COOKIE);
        break;
    case 'redirect':
        header('Location: /elsewhere');
        break;
    case 'redirect301':
        header('Location: https://example.org/', true, 301);
        break;
    case 'status':
        header('Status: 418 Teapot');
        header('Content-Type: text/plain');
        echo 'short and stout';
        break;
    case 'httpstatus':
        header('HTTP/1.1 410 Gone');
        break;
    case 'code':
        http_response_code((int) $_GET['code']);
        echo 'coded';
        break;
    case 'length':
        header('Content-Length: 4');
        echo 'text';
        break;
    case 'toolong':
        header('Content-Length: 4');
        echo 'text and more';
        break;
    case 'tooshort':
        header('Content-Length: 40');
        echo 'text';
        break;
    case 'log':
        error_log("first line\nsecond line");
        echo 'before ';
        flush();
        error_log('third');
        echo 'after';
        break;
    case 'exit':
        echo 'some';
        flush();
        exit(3);
    case 'fatal':
        ini_set('display_errors', '0');
        undefined_function();
    case 'pid':
        echo getmypid();
        break;
    case 'die':
        echo getmypid(), "\n";
        flush();
        $hold('/nonexistent');
    case 'hold':
        echo getmypid(), "\n";
        flush();
        $hold($_GET['file']);
        echo 'held';
        break;
    case 'silent':
        touch($_GET['file'] . '.begun');
        $hold($_GET['file']);
        echo 'held';
        break;
    case 'finish':
        echo getmypid();
        fastcgi_finish_request();
        $hold($_GET['file']);
        break;
    case 'early':
        echo str_repeat('y', 4 << 20); // before a byte of the body is read
        break;
    case 'download':
        header('Content-Type: application/octet-stream');
        $part = str_repeat('0123456789abcdef', 4096);
        for ($i = 0; $i < (int) $_GET['mib'] * 16; $i++) {
            echo $part;
        }
        break;
    case 'number':
        usleep(random_int(0, 2000));
        echo $_GET['n'], ' ', file_get_contents('php://input');
        break;
    case 'headers':
        for ($i = 0; $i < 3000; $i++) {
            header("X-Long-$i: " . str_repeat('x', 40));
        }
        break;
    default:
        echo 'hello';
}
