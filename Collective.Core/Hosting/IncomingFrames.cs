using Collective.Coordination;
using Collective.Protocol;

namespace Collective.Hosting;

/// <summary>Turns the bytes of one connection to the master into inputs. Holds no more than has come of one frame, and nothing between two frames.</summary>
internal sealed class IncomingFrames(ConnectionId id, FrameMemory memory)
{
    private readonly byte[] _headerBytes = new byte[FrameHeader.Bytes];
    private readonly List<byte[]> _pieces = [];
    private byte[] _small = [];
    private FrameHeader? _header;
    private int _held;
    private int _reserved;
    private bool _introduced;
    private bool _deaf;

    /// <summary>A large frame has begun, and there is no room for the rest of it now: read on when <see cref="TryGoOn"/> says so.</summary>
    public bool Waits { get; private set; }

    /// <summary>What has come of a large frame for which there was room; 0 when none is under way.</summary>
    public int HeldOfLarge => _reserved > 0 ? _held : 0;

    /// <summary>Takes what has arrived. Bytes that are no message become a violation; after that nothing is listened to.</summary>
    public void Take(ReadOnlySpan<byte> bytes, List<MasterInput> inputs)
    {
        var before = inputs.Count;
        while (!bytes.IsEmpty && !_deaf)
        {
            if ((_header ??= TakeHeader(ref bytes)) is not { } header)
            {
                break;
            }

            if (TakePayload(header, ref bytes) is { } input)
            {
                inputs.Add(input);
            }
        }

        if (inputs.Count == before && !_deaf)
        {
            inputs.Add(new MasterInput.Heard(id));
        }
    }

    /// <summary>What comes from now on is thrown away.</summary>
    public void Ignore()
    {
        _deaf = true;
        Waits = false;
        LetGo();
    }

    /// <summary>Whether there is room by now.</summary>
    public bool TryGoOn()
    {
        if (Waits && memory.TryReserve(_header!.Value.PayloadBytes))
        {
            _reserved = _header.Value.PayloadBytes;
            Waits = false;
        }

        return !Waits;
    }

    private FrameHeader? TakeHeader(ref ReadOnlySpan<byte> bytes)
    {
        var taken = Math.Min(bytes.Length, FrameHeader.Bytes - _held);
        bytes[..taken].CopyTo(_headerBytes.AsSpan(_held));
        bytes = bytes[taken..];
        _held += taken;
        if (_held < FrameHeader.Bytes)
        {
            return null;
        }

        _held = 0;
        var header = FrameHeader.Parse(_headerBytes);
        var payloadBytes = header?.PayloadBytes ?? int.MaxValue;
        if (payloadBytes > (_introduced ? int.MaxValue - 1 : Limits.HelloBytesMax))
        {
            return new FrameHeader(0, 0, 0, default); // Of kind 0: no message.
        }

        Waits = payloadBytes > Limits.FramePieceBytes && !memory.TryReserve(payloadBytes);
        _reserved = payloadBytes > Limits.FramePieceBytes && !Waits ? payloadBytes : 0;
        return header;
    }

    /// <summary>A message when all of it is here. What comes in one go is decoded where it lies.</summary>
    private MasterInput? TakePayload(FrameHeader header, ref ReadOnlySpan<byte> bytes)
    {
        var taken = Math.Min(bytes.Length, header.PayloadBytes - _held);
        var part = bytes[..taken];
        bytes = bytes[taken..];
        if (taken == header.PayloadBytes)
        {
            return Decode(header, part);
        }

        if (header.PayloadBytes <= Limits.FramePieceBytes)
        {
            HoldSmall(header.PayloadBytes, part);
        }
        else
        {
            HoldLarge(part);
        }

        if (_held < header.PayloadBytes)
        {
            return null;
        }

        return Decode(header, header.PayloadBytes <= Limits.FramePieceBytes ? _small.AsSpan(0, _held) : Join());
    }

    private void HoldSmall(int payloadBytes, ReadOnlySpan<byte> part)
    {
        if (_small.Length < _held + part.Length)
        {
            Array.Resize(ref _small, Math.Min(payloadBytes, Math.Max(2 * _small.Length, _held + part.Length)));
        }

        part.CopyTo(_small.AsSpan(_held));
        _held += part.Length;
    }

    private void HoldLarge(ReadOnlySpan<byte> part)
    {
        while (!part.IsEmpty)
        {
            var at = _held % Limits.FramePieceBytes;
            if (at == 0)
            {
                _pieces.Add(memory.Rent());
            }

            var taken = Math.Min(part.Length, Limits.FramePieceBytes - at);
            part[..taken].CopyTo(_pieces[^1].AsSpan(at));
            part = part[taken..];
            _held += taken;
        }
    }

    private ReadOnlySpan<byte> Join()
    {
        var whole = memory.Whole(_held);
        for (var i = 0; i < _pieces.Count; i++)
        {
            var rest = whole[(i * Limits.FramePieceBytes)..];
            _pieces[i].AsSpan(0, Math.Min(rest.Length, Limits.FramePieceBytes)).CopyTo(rest);
        }

        return whole;
    }

    private MasterInput Decode(FrameHeader header, ReadOnlySpan<byte> payload)
    {
        var message = MessageCodec.Decode(header.Kind, payload);
        LetGo();
        _introduced |= message is Hello;
        _deaf |= message is null;
        return message is not null ? new MasterInput.Received(id, message, header.Run)
            : header.Kind == 0 ? new MasterInput.Violated(id, "sent bytes that are no frame of the protocol")
            : new MasterInput.Violated(id, $"sent a frame of kind {(int)header.Kind} that is no message of the protocol");
    }

    private void LetGo()
    {
        _pieces.ForEach(memory.Return);
        _pieces.Clear();
        _small = [];
        memory.Release(_reserved);
        _reserved = _held = 0;
        _header = null;
    }
}
