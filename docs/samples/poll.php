<?php
// Asks where a message stands until that is final: KABAR_URL=... KABAR_KEY=... php poll.php <sendingid>
declare(strict_types=1);

$url = rtrim((string) getenv('KABAR_URL'), '/') . '/v1/messages/' . rawurlencode($argv[1] ?? '');
$options = [
    CURLOPT_HTTPHEADER => ['Authorization: Bearer ' . getenv('KABAR_KEY')],
    CURLOPT_RETURNTRANSFER => true,
    CURLOPT_TIMEOUT => 10,
];
for ($pause = 2; ; $pause = min(60, $pause * 2)) {
    $curl = curl_init($url);
    curl_setopt_array($curl, $options);
    $message = json_decode((string) curl_exec($curl), true);
    echo date('H:i:s'), ' ', $message['status'] ?? 'no answer', ' ', $message['reason'] ?? '', "\n";
    if (in_array($message['status'] ?? '', ['received', 'read', 'cancel', 'reject'], true)) {
        break;
    }
    sleep($pause);
}
