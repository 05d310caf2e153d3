// A real browser reads an exported archive (HAR 1.2) and is served from it alone: each recorded request,
// asked again, gets its recorded answer. Prints what it got as one line of JSON.
//
// Environment: ARCHIVE the file, CHROMIUM the browser.

import { readFileSync } from 'node:fs';
import { chromium } from 'playwright-core';

const { ARCHIVE, CHROMIUM = '/usr/bin/chromium' } = process.env;
const { log } = JSON.parse(readFileSync(ARCHIVE, 'utf8'));

const browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: ['--no-sandbox', '--disable-dev-shm-usage', '--no-proxy-server'],
});
const page = await browser.newPage();
await page.routeFromHAR(ARCHIVE, { notFound: 'abort' });
// A page of the same origin, so that nothing but the archive decides.
const origin = new URL(log.entries[0].request.url).origin;
await page.route(`${origin}/empty`, (route) => route.fulfill({ contentType: 'text/html', body: '' }));
await page.goto(`${origin}/empty`);

const answers = [];
for (const { request } of log.entries) {
  const asked = { url: request.url, method: request.method, body: request.postData?.text };
  answers.push(await page.evaluate(async ({ url, method, body }) => {
    const answer = await fetch(url, { method, body, headers: { 'content-type': 'application/json' } });
    return { status: answer.status, text: await answer.text() };
  }, asked));
}
const absent = await page.evaluate((url) => fetch(url).then(() => 'answered', () => 'aborted'), `${origin}/v1/absent`);
await browser.close();
console.log(JSON.stringify({ answers, absent }));
