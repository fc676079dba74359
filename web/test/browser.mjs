import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

/** Milliseconds that something may take on a machine that has much else to do: late is no failure, never is one. */
const patience = 180_000;

/** Debian's place for it, or CHROMIUM's. */
export async function launch() {
  const executablePath = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
  if (!existsSync(executablePath)) {
    throw new Error(`there is no ${executablePath}: apt-get install chromium, or set CHROMIUM`);
  }
  return chromium.launch({
    executablePath,
    timeout: patience,
    args: [
      '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync',
    ],
  });
}

/** A browser of its own, as far as storage goes, with time enough for everything. */
export async function openContext(browser, options) {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(patience);
  return context;
}

/** What the browser says of a socket that its page lets go of while it opens: how long that takes is chance. */
const hasty = /WebSocket is closed before the connection is established/;

/**
 * Watches what a page does that it should not: errors on the console, exceptions,
 * violations of its policy, requests to other origins, answers that are errors.
 * `expected` matches complaints that a test brings about on purpose.
 */
export async function watch(page, origin, expected = /(?!)/) {
  const complaints = [];
  const complain = (text) => {
    if (!expected.test(text) && !hasty.test(text)) complaints.push(text);
  };
  page.on('console', (m) => {
    if (m.type() === 'error' || m.type() === 'warning') complain(`console: ${m.text()}`);
  });
  page.on('pageerror', (e) => complain(`exception: ${e.message}`));
  page.on('request', (r) => {
    if (new URL(r.url()).origin !== origin) complain(`request to ${r.url()}`);
  });
  page.on('websocket', (s) => {
    if (new URL(s.url()).host !== new URL(origin).host) complain(`WebSocket to ${s.url()}`);
  });
  page.on('response', (r) => {
    if (r.status() >= 400) complain(`${r.status()} for ${r.url()}`);
  });
  await page.exposeFunction('reportViolation', (text) => complaints.push(`violation: ${text}`));
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (e) => {
      window.reportViolation(`${e.effectiveDirective} ${e.blockedURI} ${e.sample}`);
    });
  });
  return complaints;
}
