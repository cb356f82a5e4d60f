// The simulated phones page: shows one phone, follows the event stream. Texts are only ever set as text, never as markup.

const at = (id) => document.getElementById(id);
const TICKS = {
  pending: ["○", "pending"],
  sent: ["✓", "sent"],
  delivered: ["✓✓", "delivered"],
  read: ["✓✓", "read"],
};
const state = { phones: [], phone: location.hash.slice(1), chat: "", screen: null };

function make(tag, text, className) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (className) node.className = className;
  return node;
}

async function call(path, body) {
  const options =
    body === undefined
      ? {}
      : {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify(body),
        };
  const response = await fetch(path, options);
  const answer = await response.json();
  if (!response.ok) throw new Error(String(answer.error).replaceAll("_", " "));
  return answer;
}

let refreshes = 0;

/** What a later one found is not undone by one that was slower. */
async function refresh() {
  refreshes += 1;
  const mine = refreshes;
  const phones = await call("/phones");
  if (!state.phone) {
    const first =
      phones.find((phone) => phone.linked.length > 0) ?? phones.find((phone) => phone.messages > 0);
    state.phone = first?.number ?? "";
  }
  const screen = state.phone ? await call(`/phones/${encodeURIComponent(state.phone)}`) : null;
  if (mine !== refreshes) return;
  state.phones = phones;
  state.screen = screen;
  const partners = state.screen?.chats.map((chat) => chat.with) ?? [];
  if (!state.chat) state.chat = partners.at(-1) ?? "";
  draw();
}

function nameOf(number) {
  const phone = state.phones.find((one) => one.number === number);
  return phone ? `${phone.name} · +${number}` : `+${number}`;
}

const drawn = new Map();

/** Draws only what is new: a click, the keyboard's place and an open list outlive news of something else. */
function show(id, what, toNodes) {
  const now = JSON.stringify(what);
  if (drawn.get(id) === now) return;
  drawn.set(id, now);
  at(id).replaceChildren(...toNodes(what));
}

function draw() {
  drawPhones();
  drawChats();
  drawLinks();
  drawMessages();
}

function drawPhones() {
  const shown = state.phones
    .filter(
      (phone) => phone.messages > 0 || phone.linked.length > 0 || phone.number === state.phone,
    )
    .map((phone) => ({
      number: phone.number,
      label: nameOf(phone.number) + (phone.linked.length > 0 ? " (linked)" : ""),
      selected: phone.number === state.phone,
    }));
  show("phone", shown, (phones) =>
    phones.map(({ number, label, selected }) => {
      const option = make("option", label);
      option.value = number;
      option.selected = selected;
      return option;
    }),
  );
}

function drawChats() {
  const chats = (state.screen?.chats ?? []).toReversed().map((chat) => ({
    partner: chat.with,
    name: nameOf(chat.with),
    last: chat.messages.at(-1)?.text ?? "",
    current: chat.with === state.chat,
  }));
  at("no-chats").hidden = chats.length > 0;
  show("chats", chats, (rows) => rows.map(chatRow));
}

function chatRow({ partner, name, last, current }) {
  const button = make("button");
  button.type = "button";
  button.setAttribute("aria-current", String(current));
  button.append(make("strong", name), make("span", last));
  button.addEventListener("click", () => {
    state.chat = partner;
    draw();
  });
  const item = make("li");
  item.append(button);
  return item;
}

function drawLinks() {
  const links = { phone: state.phone, linked: state.screen?.linked ?? [] };
  show("links", links, ({ phone, linked }) =>
    linked.length > 0 ? linked.map((link) => linkRow(phone, link)) : [make("li", "None.", "hint")],
  );
}

function linkRow(phone, link) {
  const button = make("button", "Unlink", "quiet");
  button.type = "button";
  button.setAttribute("aria-label", `Unlink ${link.jid}`);
  button.addEventListener(
    "click",
    () => void attempt(() => call(`/phones/${phone}/unlink`, { device: link.device })),
  );
  const item = make("li");
  item.append(make("span", `${link.jid} ${link.online ? "online" : "offline"}`), button);
  return item;
}

function drawMessages() {
  const chat = state.screen?.chats.find((one) => one.with === state.chat);
  at("chat-title").textContent = state.chat ? nameOf(state.chat) : "No chat open";
  at("composer-label").textContent = state.chat
    ? `Write from ${nameOf(state.phone)}`
    : "Open a chat to write";
  at("composer").querySelector("button").disabled = !state.chat;
  const log = at("messages");
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  show("messages", chat?.messages ?? [], (messages) => messages.map(bubble));
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function bubble(message) {
  const node = make("article", undefined, `bubble ${message.direction}`);
  const footer = make("footer");
  footer.append(make("time", new Date(message.atMs).toLocaleTimeString()));
  if (message.copies > 1) footer.append(make("span", `arrived ${message.copies} times`, "copies"));
  const devices = Object.keys(message.devices).length;
  if (devices > 1) footer.append(make("span", `on ${devices} devices`));
  if (message.direction === "out") {
    const [sign, word] = TICKS[message.tick];
    const tick = make("span", sign, `tick ${message.tick}`);
    tick.setAttribute("role", "img");
    tick.setAttribute("aria-label", word);
    tick.title = word;
    footer.append(tick);
  }
  node.append(make("p", message.text), footer);
  return node;
}

async function attempt(job) {
  try {
    at("notice").textContent = "";
    await job();
    await refresh();
  } catch (error) {
    at("notice").textContent = error.message;
  }
}

function openPhone(number) {
  state.phone = number;
  state.chat = "";
  history.replaceState(null, "", `#${number}`);
  return attempt(refresh);
}

at("phone").addEventListener("change", (event) => void openPhone(event.target.value));
at("open").addEventListener("submit", (event) => {
  event.preventDefault();
  const typed = at("number").value.trim();
  if (typed)
    void attempt(async () => {
      const partner = await call(`/phones/${encodeURIComponent(typed)}`);
      at("number").value = "";
      state.phone = partner.number;
      state.chat =
        state.phones.find((phone) => phone.linked.length > 0 && phone.number !== partner.number)
          ?.number ?? "";
      history.replaceState(null, "", `#${partner.number}`);
    });
});
at("link").addEventListener("submit", (event) => {
  event.preventDefault();
  const code = at("code").value.trim();
  const isQr = code.includes(",");
  void attempt(async () => {
    at("notice").textContent = "Linking…";
    await call(
      `/phones/${state.phone}/${isQr ? "scan" : "link-code"}`,
      isQr ? { qr: code } : { code },
    );
    at("code").value = "";
  });
});
at("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = at("text").value;
  void attempt(async () => {
    await call(`/phones/${state.phone}/send`, { to: state.chat, text });
    at("text").value = "";
  });
});

function refreshNow() {
  refresh().catch((error) => {
    at("notice").textContent = error.message;
  });
}

let timer;
function refreshSoon() {
  timer ??= setTimeout(() => {
    timer = undefined;
    refreshNow();
  }, 150);
}

const events = new EventSource("/events");
events.addEventListener("simulator", refreshSoon);
// What happened before the stream stood, or while it was broken, is in none of its events.
events.addEventListener("open", refreshSoon);
refreshNow();
