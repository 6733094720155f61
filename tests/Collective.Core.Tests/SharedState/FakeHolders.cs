using Collective.Protocol;
using Collective.Sharing;
using Collective.Transport;
using Collective.Transport.InMemory;

namespace Collective.Core.Tests.SharedState;

/// <summary>Holders in this process, with faults.</summary>
internal sealed class FakeHolders : IStateConnections, IDisposable
{
    private readonly List<FakeHolder> _holders = [];

    public FakeHolder this[int index] => _holders[index];

    public IReadOnlyList<Member> Members => [.. _holders.Select(h => h.Member)];

    public FakeHolder Add(params TestTensor[] tensors)
    {
        var holder = new FakeHolder(_holders.Count + 1, tensors);
        _holders.Add(holder);
        return holder;
    }

    public IByteConnection DialState(Member holder) => _holders.Single(h => h.Member == holder).Accept();

    public void ServeState(Action<IByteConnection> serve) => throw new NotSupportedException();

    public void Dispose() => _holders.ForEach(h => h.Donor.Withdraw());
}

internal sealed class FakeHolder
{
    private int _dials;

    public FakeHolder(int number, TestTensor[] tensors)
    {
        Member = new Member(new PeerId(new Guid(number, 0, 0, new byte[8])), new PeerAddress(1, false, (ushort)number));
        Donor.Publish(tensors.Select(t => t.Hashed()));
    }

    public Member Member { get; }

    public PeerId Id => Member.Id;

    public StateDonor Donor { get; } = new(new UploadLimit(0));

    /// <summary>Connections that were opened to it, or tried.</summary>
    public int Dials => Volatile.Read(ref _dials);

    /// <summary>Dials that fail before one succeeds.</summary>
    public int Refusals { get; set; }

    /// <summary>What its connections do wrong.</summary>
    public Func<IByteConnection, IByteConnection> Fault { get; set; } = c => c;

    public IByteConnection Accept()
    {
        if (Interlocked.Increment(ref _dials) <= Refusals)
        {
            throw new IOException("connection refused");
        }

        var (dialer, acceptor) = InMemoryByteConnection.Pair();
        var faulty = Fault(acceptor);
        new Thread(() =>
        {
            using (acceptor)
            {
                Donor.Serve(faulty);
            }
        })
        { IsBackground = true }.Start();
        return dialer;
    }
}

/// <summary>Forwards to another connection; what is sent can be tampered with.</summary>
internal class FaultyConnection(IByteConnection inner) : IByteConnection
{
    public virtual void Send(ReadOnlySpan<byte> bytes) => inner.Send(bytes);

    public bool Receive(Span<byte> bytes) => inner.Receive(bytes);

    public virtual void Dispose() => inner.Dispose();
}

/// <summary>Flips a bit in what satisfies a condition.</summary>
internal sealed class LyingConnection(IByteConnection inner, Func<int, bool> lies) : FaultyConnection(inner)
{
    public override void Send(ReadOnlySpan<byte> bytes)
    {
        var copy = bytes.ToArray();
        if (lies(copy.Length))
        {
            copy[copy.Length / 2] ^= 4;
        }

        base.Send(copy);
    }
}

/// <summary>Counts what is sent over all connections of a holder, and breaks them all when it is enough.</summary>
internal sealed class Lifetime(long bytes)
{
    private long _left = bytes;

    public bool Ended => Volatile.Read(ref _left) <= 0;

    public FaultyConnection Dying(IByteConnection inner) => new DyingConnection(inner, this);

    private sealed class DyingConnection(IByteConnection inner, Lifetime lifetime) : FaultyConnection(inner)
    {
        public override void Send(ReadOnlySpan<byte> bytes)
        {
            if (Interlocked.Add(ref lifetime._left, -bytes.Length) <= 0)
            {
                base.Send(bytes[..(bytes.Length / 2)]);
                Dispose();
                throw new IOException("died");
            }

            base.Send(bytes);
        }
    }
}

/// <summary>Stops to send after the first answers, and says so.</summary>
internal sealed class FreezingConnection(IByteConnection inner, int sends, Action frozen) : FaultyConnection(inner)
{
    private readonly ManualResetEventSlim _closed = new();
    private int _sends = sends;

    public override void Send(ReadOnlySpan<byte> bytes)
    {
        if (_sends-- <= 0)
        {
            frozen();
            _closed.Wait();
            throw new IOException("closed");
        }

        base.Send(bytes);
    }

    public override void Dispose()
    {
        _closed.Set();
        base.Dispose();
    }
}
