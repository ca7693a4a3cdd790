// Rooms on Socket.IO with its Redis adapter, as its documentation shows them: whoever connects names a room, the others are told,
// and messages go to one of them or to all. Usage: node socketio.mjs PORT REDIS_URL
import { createServer } from "node:http";
import { createAdapter } from "@socket.io/redis-adapter";
import { createClient } from "redis";
import { Server } from "socket.io";

const [port, redis] = process.argv.slice(2);
const publisher = createClient({ url: redis });
const subscriber = publisher.duplicate();
await Promise.all([publisher.connect(), subscriber.connect()]);

const http = createServer();
const io = new Server(http, {
  adapter: createAdapter(publisher, subscriber),
  serveClient: false,
  transports: ["websocket"],
});

io.on("connection", (socket) => {
  const { room, peer } = socket.handshake.auth;
  socket.join(room);
  socket.to(room).emit("peer-joined", { from: peer });
  for (const kind of ["offer", "answer", "candidate", "app"]) {
    socket.on(kind, ({ to, body }) => {
      (to ? io.to(to) : socket.to(room)).emit(kind, { from: peer, body });
    });
  }
  socket.on("disconnect", () => io.to(room).emit("peer-left", { from: peer }));
});

http.listen(Number(port), "127.0.0.1");
