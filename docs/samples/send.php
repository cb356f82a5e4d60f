<?php
/**
 * Sends one WhatsApp text through the old endpoint the modern way: the text goes as it is (UTF-8, no utf8_encode, no
 * urlencode), every call has a timeout, and a call without an answer is repeated unchanged. A repeat within 60 seconds
 * gets the first answer and is charged once.
 *
 *   KABAR_URL=https://wa.example.co.id KABAR_KEY=... KABAR_WAID=... php send.php 081234567890 "Your text"
 */
declare(strict_types=1);

const TIMEOUT_SECONDS = 10;
/** Pauses between repeats. All tries together, 3 times 10 s and 7 s of pauses, stay within the 60 seconds. */
const PAUSES_SECONDS = [2, 5];

/** The answer's text, or null when none came. */
function post(string $url, string $body): ?string
{
    $curl = curl_init($url);
    curl_setopt_array($curl, [
        CURLOPT_POST => true,
        CURLOPT_POSTFIELDS => $body,
        CURLOPT_HTTPHEADER => ['Content-Type: application/json'],
        CURLOPT_RETURNTRANSFER => true,
        CURLOPT_CONNECTTIMEOUT => 5,
        CURLOPT_TIMEOUT => TIMEOUT_SECONDS,
    ]);
    $answer = curl_exec($curl);
    return is_string($answer) && curl_getinfo($curl, CURLINFO_RESPONSE_CODE) === 200 ? $answer : null;
}

/** The id of the accepted message. */
function send_text(string $url, string $key, string $waid, string $number, string $text): int
{
    $body = json_encode([
        'apikey' => $key,
        'waid' => $waid,
        'datapacket' => [['number' => $number, 'message' => $text, 'sendingdatetime' => '']],
    ], JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE);
    $answer = post("$url/sms/api_whatsapp_send_json.php", $body);
    foreach (PAUSES_SECONDS as $pause) {
        if ($answer !== null) {
            break;
        }
        sleep($pause);
        $answer = post("$url/sms/api_whatsapp_send_json.php", $body);
    }
    if ($answer === null) {
        throw new RuntimeException('no answer: it is not known whether the text was accepted');
    }
    $result = json_decode($answer, true, 16, JSON_THROW_ON_ERROR)['sending_respon'][0];
    if ($result['globalstatus'] !== 10) {
        throw new RuntimeException("refused: {$result['globalstatus']} {$result['globalstatustext']}");
    }
    $packet = $result['datapacket'][0]['packet'];
    if ($packet['sendingstatus'] !== 10) {
        throw new RuntimeException("refused: {$packet['sendingstatus']} {$packet['sendingstatustext']}");
    }
    return $packet['sendingid'];
}

try {
    [, $number, $text] = $argv + [1 => '', 2 => ''];
    $url = rtrim((string) getenv('KABAR_URL'), '/');
    echo send_text($url, (string) getenv('KABAR_KEY'), (string) getenv('KABAR_WAID'), $number, $text), "\n";
} catch (RuntimeException | JsonException $failure) {
    fwrite(STDERR, $failure->getMessage() . "\n");
    exit(1);
}
