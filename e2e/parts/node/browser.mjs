// A real browser at the console, for the scripts beside this one.
//
// Environment: ORIGIN the console, SHOTS a folder for pictures, CHROMIUM the browser.

import { chromium } from 'playwright-core';

const { ORIGIN, SHOTS, CHROMIUM = '/usr/bin/chromium' } = process.env;

// What the browser complained of on the console's own pages: errors, and whatever its policy forbids.
export const complaints = [];

export const browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: ['--no-sandbox', '--disable-dev-shm-usage', '--no-proxy-server', '--hide-scrollbars'],
});

// Somebody at a screen of this size, who knows nothing of the others. A page that is refused is told of as a
// resource that failed: with a status like `refused`, that is the answer, not a fault of it.
export async function visitor(viewport, refused) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport });
  const page = await context.newPage();
  page.on('console', (message) => {
    const status = /^Failed to load resource: .* status of (\d\d\d)/.exec(message.text())?.[1];
    const told = status && refused.test(status);
    if (message.type() === 'error' && message.location().url.startsWith(ORIGIN) && !told) {
      complaints.push(`${message.location().url}: ${message.text()}`);
    }
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  return { context, page };
}

// Signs in at the provider, from the console's page that offers it.
export async function signIn(page, user) {
  await page.getByRole('link', { name: /Continue with/ }).click();
  await page.waitForSelector('input[name=login]');
  await page.fill('input[name=login]', user);
  await page.fill('input[name=password]', 'any');
  await page.click('button[type=submit]');
  await page.waitForURL((url) => url.origin === ORIGIN || url.pathname.includes('/interaction/'));
  if (!page.url().startsWith(ORIGIN)) await page.click('button[type=submit]'); // consent
  await page.waitForURL((url) => url.origin === ORIGIN);
}

// Takes pictures of a page, light and dark, large and small.
export async function pictures(page, name) {
  const own = page.viewportSize();
  for (const [look, scheme, width, height] of [
    ['light', 'light', 1280, 860], ['dark', 'dark', 1280, 860], ['phone', 'light', 390, 844], ['phone-dark', 'dark', 390, 844],
  ]) {
    await page.emulateMedia({ colorScheme: scheme });
    await page.setViewportSize({ width, height });
    await page.screenshot({ path: `${SHOTS}/${name}-${look}.png`, fullPage: true });
    // A page wider than the screen is one that a phone cannot show.
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (wide > 0) complaints.push(`${name} is ${wide} pixels too wide at ${width}`);
  }
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize(own);
}
