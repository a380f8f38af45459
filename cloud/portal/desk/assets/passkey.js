"use strict";
// Passkeys are the one thing that a browser does only for a script. The forms they
// are in stay hidden without it; everything else works as ever.
(() => {
  if (!window.PublicKeyCredential) return;

  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

  // What the cloud sends is JSON; what browsers want has bytes in it.
  const options = (json) => {
    const o = JSON.parse(json);
    o.challenge = bytes(o.challenge);
    if (o.user) o.user.id = bytes(o.user.id);
    for (const list of [o.excludeCredentials, o.allowCredentials]) {
      for (const c of list || []) c.id = bytes(c.id);
    }
    return o;
  };

  const answer = (c) => {
    const r = { clientDataJSON: text(c.response.clientDataJSON) };
    for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (c.response[name]) r[name] = text(c.response[name]);
    }
    if (c.response.getTransports) r.transports = c.response.getTransports();
    return JSON.stringify({ id: c.id, rawId: text(c.rawId), type: c.type, response: r,
      authenticatorAttachment: c.authenticatorAttachment || undefined, clientExtensionResults: c.getClientExtensionResults() });
  };

  let waiting = new AbortController(); // for the offer in the e-mail field

  let sent = false; // an answer counts once
  const send = (form, credential) => {
    if (sent) return;
    sent = true;
    form.elements.answer.value = answer(credential);
    form.submit();
  };

  for (const form of document.querySelectorAll("form.passkey")) {
    form.hidden = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      waiting.abort();
      try {
        const { use, make } = form.dataset;
        send(form, make ? await navigator.credentials.create({ publicKey: options(make) })
                        : await navigator.credentials.get({ publicKey: options(use) }));
      } catch (err) { // the owner said no, or has none here: the other ways are still there
        form.querySelector("button").focus();
      }
    });
  }
  for (const note of document.querySelectorAll(".noscript")) note.hidden = true;
  for (const way of document.querySelectorAll(".scripted")) way.hidden = false;

  // A browser that can offers passkeys where the e-mail address is typed, from when
  // somebody turns to that form.
  const first = document.querySelector("form.passkey[data-use]");
  const email = document.querySelector("[autocomplete~=webauthn]");
  if (!first || !email || !PublicKeyCredential.isConditionalMediationAvailable) return;
  const offer = async () => {
    if (waiting.signal.aborted || !(await PublicKeyCredential.isConditionalMediationAvailable())) return;
    const asked = { publicKey: options(first.dataset.use), mediation: "conditional", signal: waiting.signal };
    navigator.credentials.get(asked).then((c) => send(first, c)).catch(() => {});
  };
  let offered = false;
  for (const event of ["pointerover", "focusin"]) {
    email.form.addEventListener(event, () => {
      if (!offered) { offered = true; offer(); }
    });
  }
})();
