// An approver with a real browser: comes by an approval's address, signs in at the provider, reads, and
// decides; and meets an attacker's page on the way. Prints what was seen as one line of JSON; the test
// judges it.
//
// Environment: ORIGIN the console; WAITS, DENIES, OWN, MISSING the paths of approvals; SHOTS a folder for
// pictures, CHROMIUM the browser.

import { createServer } from 'node:http';
import { browser, complaints, pictures, signIn, visitor } from './browser.mjs';

const { ORIGIN, WAITS, DENIES, OWN, MISSING, SHOTS } = process.env;
const seen = { complaints };
const PHONE = { width: 390, height: 844 };

// The pictures of docs/approvals.md: `cp target/approvals/guide/* docs/pictures/`.
async function guide(page, name, width, height) {
  await page.setViewportSize({ width, height });
  await page.screenshot({ path: `${SHOTS}/guide/${name}.png`, clip: { x: 0, y: 0, width, height } });
  await page.setViewportSize(PHONE);
}

const main = (page) => page.locator('main').innerText();

// ---- by the address that a message would hold ------------------------------------------------------

const { context, page } = await visitor(PHONE, /4../);
await page.goto(`${ORIGIN}${WAITS}`);
seen.first = new URL(page.url()).pathname;
await signIn(page, 'alice');
seen.arrived = new URL(page.url()).pathname;
seen.waiting = await main(page);
seen.scripts = await page.locator('script').count();
seen.unlabelled = await page.locator('textarea').evaluateAll((all) => all.filter((one) => one.labels.length === 0).length);
await pictures(page, 'approval');
await guide(page, 'approval-phone', 390, 844);
await guide(page, 'approval', 1100, 860);
await page.goto(`${ORIGIN}/approvals`);
seen.inbox = await main(page);
await pictures(page, 'inbox');
await page.goto(`${ORIGIN}${OWN}`);
seen.own = await main(page);
await pictures(page, 'own');
seen.missing = (await page.goto(`${ORIGIN}${MISSING}`)).status();

// ---- what others try -------------------------------------------------------------------------------

const evil = createServer((request, response) => {
  response.setHeader('content-type', 'text/html');
  response.end(`<form id=f method=post action="${ORIGIN}${WAITS}/approve"><input name=token value=guess></form>
    <button form=f id=go>win</button>`);
});
await new Promise((resolve) => evil.listen(0, '127.0.0.1', resolve));
const tab = await context.newPage();
await tab.goto(`http://127.0.0.1:${evil.address().port}/`);
const [forged] = await Promise.all([
  tab.waitForResponse((response) => response.url() === `${ORIGIN}${WAITS}/approve`), tab.click('#go'),
]);
seen.forged = forged.status();
await tab.close();
evil.close();
// The cookie alone gives nobody's word: the form's own token is asked for, and what it is about.
const post = async (form) => (await context.request.post(`${ORIGIN}${WAITS}/approve`, {
  headers: { origin: ORIGIN }, form, maxRedirects: 0,
})).status();
seen.guessed = await post({ token: 'guess', digest: '0'.repeat(64) });
await page.goto(`${ORIGIN}${WAITS}`);
const token = await page.locator('input[name=token]').first().getAttribute('value');
seen.blind = await post({ token });
seen.other = await post({ token, digest: '0'.repeat(64) });

// Somebody who is no approver learns nothing, also not whether there is something.
const stranger = await visitor(PHONE, /4../);
await stranger.page.goto(`${ORIGIN}${WAITS}`);
await signIn(stranger.page, 'mallory');
seen.stranger = await main(stranger.page);
seen.strangerStatus = [
  (await stranger.page.goto(`${ORIGIN}${WAITS}`)).status(), (await stranger.page.goto(`${ORIGIN}${MISSING}`)).status(),
];
await stranger.page.goto(`${ORIGIN}/approvals`);
seen.strangerInbox = await main(stranger.page);
await stranger.context.close();

// ---- deciding --------------------------------------------------------------------------------------

await page.goto(`${ORIGIN}${DENIES}`);
await page.getByRole('button', { name: 'Deny' }).click();
seen.stillThere = new URL(page.url()).pathname; // the browser itself asks for a reason
await page.getByLabel('Why not').fill('Not before the review <b>is</b> signed.');
await page.getByRole('button', { name: 'Deny' }).click();
await page.waitForURL(`${ORIGIN}${DENIES}`);
await page.waitForSelector('.mark.bad');
seen.denied = await main(page);
await pictures(page, 'denied');
await guide(page, 'denied-phone', 390, 620);

await page.goto(`${ORIGIN}${WAITS}`);
await page.getByLabel('Why it is all right').fill('Agreed with the data owner.');
await page.getByRole('button', { name: 'Approve' }).click();
await page.waitForSelector('.mark.good');
seen.approvedAt = new URL(page.url()).pathname;
// It is used as soon as its client, which waits, goes on.
for (let look = 0; look < 100 && !(await main(page)).includes('approved and used'); look += 1) {
  await page.waitForTimeout(100);
  await page.reload();
}
seen.approved = await main(page);
await pictures(page, 'approved');
await guide(page, 'approved-phone', 390, 620);
// What is settled cannot be decided again, by whoever kept the form.
seen.again = await post({ token, digest: await page.locator('.digest').innerText() });
await page.goto(`${ORIGIN}/approvals`);
seen.settled = await main(page);
await guide(page, 'inbox', 390, 844);

await browser.close();
console.log(JSON.stringify(seen));
