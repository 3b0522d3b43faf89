<?php
// What the tests let php-cgi do. Each response begins with the number of the process.
$pid = getmypid();
switch ($_GET['do'] ?? '') {
case '':
    echo $pid;
    break;
case 'headers':
    http_response_code(201);
    header('X-Kit: yes');
    setcookie('flavour', 'sweet', ['path' => '/', 'httponly' => true]);
    session_id('kit1');
    echo "$pid {$_SERVER['REQUEST_METHOD']} {$_COOKIE['had']} {$_SERVER['REMOTE_ADDR']}";
    break;
case 'upload':
    $f = $_FILES['f'];
    $moved = move_uploaded_file($f['tmp_name'], $_GET['to']);
    echo $pid, ' ', json_encode([$moved, $f['name'], $f['size'], $_POST['note']]);
    break;
case 'environment':
    echo $pid, ' ', json_encode([getenv('KIT'), ini_get('memory_limit'), getenv('NOTIFY_SOCKET'), getcwd(), get_current_user()]);
    break;
case 'identity':
    echo $pid, ' ', json_encode([posix_getuid(), posix_getgid(), posix_getgroups(), @file_get_contents($_GET['file']), @stream_socket_client('unix://' . $_GET['socket']) !== false]);
    break;
case 'status':
    echo $pid, ' ', json_encode([file_get_contents('/proc/self/status'), getenv()]);
    break;
case 'descriptors':
    $open = [];
    foreach (glob('/proc/self/fd/*') as $fd) {
        if (($to = @readlink($fd)) !== false) {
            $open[basename($fd)] = $to;
        }
    }
    echo $pid, ' ', json_encode((object) $open);
    break;
case 'print':
    file_put_contents('php://stderr', $_GET['text']);
    echo $pid;
    break;
case 'hold': // until the file is there
    header('X-Pid: ' . $pid);
    if (isset($_GET['ignore'])) {
        ignore_user_abort(true);
    }
    touch($_GET['file'] . '.' . $pid);
    while (!file_exists($_GET['file'])) {
        usleep(2000);
        clearstatcache();
    }
    echo "$pid held";
    break;
case 'lock': // blocks in the kernel
    touch($_GET['file'] . '.' . $pid);
    $f = fopen($_GET['lock'], 'c');
    flock($f, LOCK_EX);
    echo "$pid locked";
    break;
case 'crash':
    posix_kill($pid, SIGSEGV);
    break;
case 'fatal':
    kit_has_no_such_function();
    break;
case 'child':
    exec('sleep 1000 >/dev/null 2>&1 & echo $!', $out);
    echo "$pid $out[0]";
    break;
}
