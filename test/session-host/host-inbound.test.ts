/** What the host makes of a decrypted message: texts, captions and kinds of people, and nothing of anything else. */
import { proto, writeRandomPadMax16 } from "@whiskeysockets/baileys";
import { describe, expect, test } from "vitest";
import { describeInbound } from "../../session-host/baileys/inbound.ts";

const OWN = { phone: "6281234567001:7@s.whatsapp.net", lid: "555000111:7@lid" };
const CONTACT = "6281310001001@s.whatsapp.net";
const LID = "777000222@lid";

function heard(message: proto.IMessage, attributes: Record<string, string> = {}) {
  const padded = writeRandomPadMax16(proto.Message.encode(message).finish());
  const [one] = describeInbound(
    { id: "3EB0AA", from: CONTACT, t: "1795000000", ...attributes },
    padded,
    OWN,
  );
  return one ?? null;
}

describe("a person's message", () => {
  test.each<[string, proto.IMessage, string, string | null]>([
    ["a text", { conversation: "Halo" }, "text", "Halo"],
    [
      "a text with a link",
      { extendedTextMessage: { text: "lihat example.co.id" } },
      "text",
      "lihat example.co.id",
    ],
    [
      "a text that vanishes",
      { ephemeralMessage: { message: { conversation: "Halo" } } },
      "text",
      "Halo",
    ],
    ["a picture with a caption", { imageMessage: { caption: "nota" } }, "image", "nota"],
    ["a picture without", { imageMessage: { mimetype: "image/jpeg" } }, "image", null],
    ["a video", { videoMessage: { caption: "lihat ini" } }, "video", "lihat ini"],
    [
      "a document with a caption",
      {
        documentWithCaptionMessage: {
          message: { documentMessage: { caption: "faktur", fileName: "rahasia.pdf" } },
        },
      },
      "document",
      "faktur",
    ],
    [
      "a picture to be seen once",
      { viewOnceMessageV2: { message: { imageMessage: { caption: "sekali" } } } },
      "image",
      "sekali",
    ],
    ["a voice note", { audioMessage: { ptt: true, seconds: 4 } }, "audio", null],
    ["a sticker", { stickerMessage: { mimetype: "image/webp" } }, "sticker", null],
    [
      "a place",
      { locationMessage: { degreesLatitude: -6.2, degreesLongitude: 106.8, name: "Kantor" } },
      "location",
      null,
    ],
    [
      "a contact's card",
      { contactMessage: { displayName: "Budi", vcard: "BEGIN:VCARD" } },
      "contact",
      null,
    ],
  ])(
    "that is %s is told by its kind and its words, without its content",
    (_what, message, kind, text) => {
      expect(heard(message)).toMatchObject({ kind, text, chat: CONTACT, fromMe: false });
      expect(Object.keys(heard(message) ?? {}).toSorted()).toEqual([
        "chat",
        "chatAlt",
        "fromMe",
        "kind",
        "offline",
        "pushName",
        "sentAtMs",
        "text",
        "waId",
      ]);
    },
  );

  test("has both addresses of the contact when the stanza names them, whichever comes first", () => {
    const text = { conversation: "Halo" };
    expect(heard(text, { from: LID, sender_pn: CONTACT })).toMatchObject({
      chat: LID,
      chatAlt: CONTACT,
    });
    expect(heard(text, { sender_lid: LID })).toMatchObject({ chat: CONTACT, chatAlt: LID });
    expect(heard(text, { from: LID })).toMatchObject({ chat: LID, chatAlt: null });
  });

  test("from the account's own phone is its own, in the chat that it was written in", () => {
    const own = { deviceSentMessage: { message: { conversation: "dari toko" } } };
    const attributes = {
      from: "6281234567001@s.whatsapp.net",
      recipient: LID,
      peer_recipient_pn: CONTACT,
    };
    expect(heard(own, attributes)).toMatchObject({
      fromMe: true,
      chat: LID,
      chatAlt: CONTACT,
      text: "dari toko",
    });
  });
});

describe("what is no person's message", () => {
  const text = { conversation: "Halo semua" };

  test.each([
    ["a group", "6281234567001-1600000000@g.us"],
    ["a status", "status@broadcast"],
    ["a broadcast list", "1600000000@broadcast"],
    ["a channel", "120363000000000000@newsletter"],
  ])("such as one of %s is nobody's news", (_what, from) => {
    expect(heard(text, { from, participant: CONTACT })).toBeNull();
    const own = { deviceSentMessage: { message: text } };
    expect(heard(own, { from: "6281234567001@s.whatsapp.net", recipient: from })).toBeNull();
  });

  test.each<[string, proto.IMessage]>([
    ["a reaction", { reactionMessage: { text: "👍" } }],
    ["a deletion", { protocolMessage: { type: proto.Message.ProtocolMessage.Type.REVOKE } }],
    ["a poll's vote", { pollUpdateMessage: {} }],
    ["a group key", { senderKeyDistributionMessage: { groupId: "1@g.us" } }],
    ["nothing at all", {}],
  ])("such as %s is nobody's news", (_what, message) => {
    expect(heard(message)).toBeNull();
  });

  test("such as bytes that are no message is nobody's news", () => {
    expect(
      describeInbound({ id: "3EB0AA", from: CONTACT }, new Uint8Array([255, 255, 1]), OWN),
    ).toEqual([]);
    expect(heard(text, { category: "peer" })).toBeNull();
  });
});

describe("what our own phone tells of messages that reached us empty", () => {
  const phone = { from: "6281234567001@s.whatsapp.net", category: "peer" };
  const told = (...messages: proto.IWebMessageInfo[]): proto.IMessage => ({
    protocolMessage: {
      type: proto.Message.ProtocolMessage.Type.PEER_DATA_OPERATION_REQUEST_RESPONSE_MESSAGE,
      peerDataOperationRequestResponseMessage: {
        peerDataOperationResult: messages.map((message) => ({
          placeholderMessageResendResponse: {
            webMessageInfoBytes: proto.WebMessageInfo.encode(message).finish(),
          },
        })),
      },
    },
  });
  const one = {
    key: { id: "3EB0CC", remoteJid: CONTACT, fromMe: false },
    message: { conversation: "Halo, saya lihat iklannya" },
    pushName: "Budi",
    messageTimestamp: 1_795_000_100,
  };

  test("is their text, under their own id, in their own chat", () => {
    expect(heard(told(one), phone)).toEqual({
      waId: "3EB0CC",
      chat: CONTACT,
      chatAlt: null,
      fromMe: false,
      pushName: "Budi",
      sentAtMs: 1_795_000_100_000,
      kind: "text",
      text: "Halo, saya lihat iklannya",
      offline: false,
    });
  });

  test("may be several, and one that is nobody's news costs the others nothing", () => {
    const other = { ...one, key: { ...one.key, id: "3EB0DD" } };
    const ofGroup = { ...one, key: { ...one.key, remoteJid: "6281234567001-1600000000@g.us" } };
    const empty = { ...one, message: {} };
    const padded = writeRandomPadMax16(
      proto.Message.encode(told(one, ofGroup, empty, other)).finish(),
    );
    const all = describeInbound({ id: "3EB0AA", t: "1795000000", ...phone }, padded, OWN);
    expect(all.map(({ waId }) => waId)).toEqual(["3EB0CC", "3EB0DD"]);
  });

  test("is believed of nobody else, and bytes that are no message are nothing", () => {
    expect(heard(told(one), { ...phone, from: CONTACT })).toBeNull();
    const broken = told(one);
    const [result] =
      broken.protocolMessage?.peerDataOperationRequestResponseMessage?.peerDataOperationResult ??
      [];
    if (result) {
      result.placeholderMessageResendResponse = {
        webMessageInfoBytes: new Uint8Array([255, 255, 1]),
      };
    }
    expect(heard(broken, phone)).toBeNull();
  });
});
