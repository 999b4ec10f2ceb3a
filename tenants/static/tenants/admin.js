// What the admin's own pages do beyond HTML. Without it every form still works.
(() => {
  "use strict";

  // Copies the text of the element that a button names, and says so on the button.
  async function copy(button) {
    const source = document.getElementById(button.dataset.copy);
    if (!await write(source)) return;
    const label = button.querySelector("[data-copied]");
    const icon = button.querySelector(".material-symbols-outlined");
    const before = [label && label.textContent, icon.textContent];
    if (label) label.textContent = label.dataset.copied;
    icon.textContent = "check";
    announce("Copied");
    setTimeout(() => {
      if (label) label.textContent = before[0];
      icon.textContent = before[1];
    }, 2000);
  }

  // The clipboard is there on HTTPS and on this machine only; elsewhere the text is selected.
  async function write(source) {
    try {
      await navigator.clipboard.writeText(source.textContent.trim());
      return true;
    } catch {
      getSelection().selectAllChildren(source);
      announce("Selected. Copy it with the keyboard.");
      return false;
    }
  }

  function announce(text) {
    let region = document.getElementById("tn-announcer");
    if (!region) {
      region = document.createElement("div");
      region.id = "tn-announcer";
      region.className = "tn-hidden";
      region.setAttribute("role", "status");
      document.body.append(region);
    }
    region.textContent = text;
  }

  // Asks whether a slug is good and free, once its typing pauses.
  function checkSlug(input) {
    const answer = document.querySelector("[data-answer]");
    const shown = document.querySelector("[data-slug]");
    let timer, asking;
    input.addEventListener("input", () => {
      clearTimeout(timer);
      if (asking) asking.abort();
      answer.textContent = "";
      answer.className = "tn-answer";
      if (input.value) timer = setTimeout(ask, 250);
    });

    async function ask() {
      asking = new AbortController();
      const url = `${input.dataset.check}?${new URLSearchParams({ slug: input.value })}`;
      try {
        const response = await fetch(url, { signal: asking.signal });
        const { free, detail } = await response.json();
        answer.textContent = detail;
        answer.classList.add(free ? "tn-answer--good" : "tn-answer--bad");
        shown.textContent = free ? input.value : "slug";
      } catch {
        // Typed on, or not answered: the form itself will say it.
      }
    }
  }

  // Keeps a part of the page up to date while it says that there is more to come. What is done
  // then, and what somebody can do, is on the rest of the page, which is loaded again.
  function follow(element) {
    setTimeout(ask, 1000);

    async function ask() {
      try {
        const response = await fetch(element.dataset.follow);
        if (response.redirected) return location.reload(); // Signed out.
        if (response.ok && !document.hidden) element.innerHTML = await response.text();
      } catch {
        // Not answered: it will be the next time.
      }
      if (!element.querySelector("[data-running]")) return location.reload();
      setTimeout(ask, 1000);
    }
  }

  // A second click must not send a form twice.
  function sendOnce(event) {
    if (event.defaultPrevented || event.target.method !== "post") return;
    for (const button of event.target.querySelectorAll("button[type=submit]")) {
      setTimeout(() => { button.disabled = true; });
    }
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) copy(button);
  });
  document.addEventListener("submit", sendOnce);
  // A page that comes back by the browser's back button is as it was left.
  addEventListener("pageshow", () => {
    for (const button of document.querySelectorAll(".tn button[type=submit]")) button.disabled = false;
  });
  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("[data-check]").forEach(checkSlug);
    document.querySelectorAll("[data-follow]").forEach(follow);
    // Loading the page of a secret again leads on, instead of sending its form once more.
    const once = document.querySelector("[data-once]");
    if (once) history.replaceState(null, "", once.dataset.once);
  });
})();
