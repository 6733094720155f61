using Collective.Protocol;

namespace Collective.Hosting;

/// <summary>The frame that the master is sending: encoded once for all who get it, and copied once for all who cannot take it at once.</summary>
internal sealed class OutgoingFrame(ushort term, RunId run)
{
    private byte[] _buffer = GC.AllocateUninitializedArray<byte>(Limits.KeptFrameBytesMax);
    private Message? _message;
    private int _bytes;
    private byte[]? _copy;

    public ReadOnlySpan<byte> Bytes => _buffer.AsSpan(0, _bytes);

    /// <summary>The same bytes, to be kept; nobody changes them.</summary>
    public byte[] Copy => _copy ??= Bytes.ToArray();

    public OutgoingFrame Of(Message message)
    {
        if (!ReferenceEquals(message, _message))
        {
            if (MessageCodec.EncodedBytesMax(message) is var bytesMax && bytesMax > _buffer.Length)
            {
                _buffer = GC.AllocateUninitializedArray<byte>(bytesMax);
            }

            // Who is refused learns nothing that opens a door: the run id is all that guards the peers' data ports.
            _bytes = MessageCodec.Encode(message, term, message is Refused ? default : run, _buffer);
            _message = message;
            _copy = null;
        }

        return this;
    }

    /// <summary>Lets go of what it does not need all the time.</summary>
    public void Forget()
    {
        _message = null;
        _copy = null;
        if (_buffer.Length > Limits.KeptFrameBytesMax)
        {
            _buffer = GC.AllocateUninitializedArray<byte>(Limits.KeptFrameBytesMax);
        }
    }
}
