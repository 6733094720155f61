namespace Collective.Transport.InMemory;

/// <summary>One end of a connection for bytes within a process.</summary>
internal sealed class InMemoryByteConnection : IByteConnection
{
    /// <summary>Bytes under way in one direction, as in a socket's buffers.</summary>
    private const int PipeBytes = 256 * 1024;

    private readonly Pipe _incoming;
    private readonly Pipe _outgoing;

    private InMemoryByteConnection(Pipe incoming, Pipe outgoing)
    {
        _incoming = incoming;
        _outgoing = outgoing;
    }

    public static (InMemoryByteConnection Dialer, InMemoryByteConnection Acceptor) Pair()
    {
        var (there, back) = (new Pipe(), new Pipe());
        return (new InMemoryByteConnection(back, there), new InMemoryByteConnection(there, back));
    }

    public void Send(ReadOnlySpan<byte> bytes) => _outgoing.Write(bytes);

    public bool Receive(Span<byte> bytes) => _incoming.Read(bytes);

    public void Dispose()
    {
        _outgoing.Finish();
        _incoming.Break();
    }

    private sealed class Pipe
    {
        // Guards the ring between the two ends.
        private readonly object _gate = new();
        private readonly byte[] _ring = new byte[PipeBytes];
        private long _written;
        private long _read;
        private bool _finished;
        private bool _broken;

        public void Write(ReadOnlySpan<byte> bytes)
        {
            lock (_gate)
            {
                while (!bytes.IsEmpty)
                {
                    while (_written - _read == PipeBytes && !_broken && !_finished)
                    {
                        Monitor.Wait(_gate);
                    }

                    if (_broken || _finished)
                    {
                        throw new IOException("closed by the other side");
                    }

                    var start = (int)(_written % PipeBytes);
                    var count = Math.Min(bytes.Length, Math.Min(PipeBytes - start, (int)(PipeBytes - (_written - _read))));
                    bytes[..count].CopyTo(_ring.AsSpan(start));
                    bytes = bytes[count..];
                    _written += count;
                    Monitor.PulseAll(_gate);
                }
            }
        }

        public bool Read(Span<byte> bytes)
        {
            var isFirst = true;
            lock (_gate)
            {
                while (!bytes.IsEmpty)
                {
                    while (_written == _read && !_broken && !_finished)
                    {
                        Monitor.Wait(_gate);
                    }

                    if (_broken || _written == _read)
                    {
                        return isFirst && !_broken ? false : throw new IOException("closed");
                    }

                    var start = (int)(_read % PipeBytes);
                    var count = Math.Min(bytes.Length, Math.Min(PipeBytes - start, (int)(_written - _read)));
                    _ring.AsSpan(start, count).CopyTo(bytes);
                    bytes = bytes[count..];
                    _read += count;
                    isFirst = false;
                    Monitor.PulseAll(_gate);
                }

                return true;
            }
        }

        /// <summary>The writing end closes: what is under way still arrives.</summary>
        public void Finish()
        {
            lock (_gate)
            {
                _finished = true;
                Monitor.PulseAll(_gate);
            }
        }

        public void Break()
        {
            lock (_gate)
            {
                _broken = true;
                Monitor.PulseAll(_gate);
            }
        }
    }
}
