const retry = document.getElementById("retry");
const wanted = new URL(location.hash.slice(1) || "./", location.href);

// Whoever made the link: it leads to a page of ours, or nowhere new.
if (wanted.origin === location.origin) retry.href = wanted.href;
window.addEventListener("online", () => location.replace(retry.href));
